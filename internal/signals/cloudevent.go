package signals

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

const contentType = event.ApplicationCloudEventsJSON

// The values of the extension severity.
const (
	severityDrift   = "warning"
	severityQuality = "critical"
)

// schema returns the name of the data's schema. It is not a URL to fetch.
func schema(s api.SignalData) string { return "urn:sluice:schema:" + s.Type }

// encode writes a signal as a CloudEvent in structured JSON. Its data has the trainer's token, if that is not empty.
func encode(s api.SignalData, source, token string) ([]byte, error) {
	severity := severityDrift
	if s.Type == api.TypeDataQualityViolated {
		severity = severityQuality
	}
	version := strconv.FormatInt(s.Version, 10)
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(s.ID)
	e.SetSource(source)
	e.SetType(s.Type)
	e.SetSubject(s.Model + "/" + version)
	e.SetTime(s.CreatedAt)
	e.SetDataSchema(schema(s))
	e.SetExtension("modelname", s.Model)
	e.SetExtension("modelversion", version) // text, since integers of CloudEvents have 32 bits
	e.SetExtension("severity", severity)
	e.SetExtension("windowstart", s.Window.Start)
	e.SetExtension("windowend", s.Window.End)
	return textOf(&e, struct {
		api.SignalData

		Token string `json:"token,omitempty"`
	}{s, token})
}

// EventID returns the id of the CloudEvent about an event: the first 32 hexadecimal digits of the SHA-256 over its type, subject, number and
// time, separated by bytes 0x1f. The number alone is used again if the journal is lost.
func EventID(e api.Event) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Type, e.Subject, strconv.FormatInt(e.Seq, 10), e.Time.UTC().Format(time.RFC3339Nano)}, "\x1f")))
	return hex.EncodeToString(sum[:idBytes])
}

// encodeEvent writes an event of the journal as a CloudEvent in structured JSON. The type is that of the event, "rollout.started" for
// example, with a prefix and a version.
func encodeEvent(j api.Event, source string) ([]byte, error) {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(EventID(j))
	e.SetSource(source)
	e.SetType("io.sluice." + j.Type + ".v1")
	e.SetSubject(j.Subject)
	e.SetTime(j.Time)
	e.SetDataSchema("urn:sluice:schema:" + e.Type())
	return textOf(&e, j)
}

// textOf returns a CloudEvent with its data.
func textOf(e *event.Event, data any) ([]byte, error) {
	err := e.SetData(event.ApplicationJSON, data)
	if err == nil {
		err = e.Validate()
	}
	if err == nil {
		var text []byte
		if text, err = json.Marshal(e); err == nil {
			return text, nil
		}
	}
	return nil, &infer.Error{Code: infer.Internal, Op: "signal", Msg: "cannot write the CloudEvent", Err: err}
}
