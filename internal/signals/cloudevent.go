package signals

import (
	"encoding/json"
	"strconv"

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

// encode writes a signal as a CloudEvent in structured JSON.
func encode(s api.SignalData, source string) ([]byte, error) {
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
	err := e.SetData(event.ApplicationJSON, s)
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
