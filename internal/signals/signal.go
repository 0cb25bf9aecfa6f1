package signals

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The max sizes of texts in a signal, so that the largest signal fits into the journal.
const (
	maxNameBytes  = 256
	maxCauseBytes = 1 << 10
)

// idBytes is the number of bytes of the hash in an id.
const idBytes = 16

// ID returns the id of a signal: the first 32 hexadecimal digits of the SHA-256 over type,
// model, version, cause and began, separated by bytes 0x1f. For a report of bad data, the
// role is added, since each role of a version has its own data, and so is a segment, if there is one, after the word segment. Began is in UTC in RFC 3339
// with as many decimals as it needs. The text is unambiguous, since only a cause may have
// that byte.
func ID(s api.SignalData) string {
	parts := []string{s.Type, s.Model, strconv.FormatInt(s.Version, 10), s.Cause, s.Began.UTC().Format(time.RFC3339Nano)}
	if s.Type == api.TypeDataQualityViolated {
		parts = append(parts, s.Role)
	}
	if s.Segment != "" {
		parts = append(parts, "segment", s.Segment)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x1f")))
	return hex.EncodeToString(sum[:idBytes])
}

// complete checks a signal and sets the fields that Detected documents.
func complete(s *api.SignalData, now time.Time) error {
	switch {
	case s.Type == api.TypeRetrainRequested && (s.Cause == api.CausePerformance || s.Cause == api.CauseManual || s.Cause == api.CauseSchedule):
	case s.Type == api.TypeRetrainRequested:
		s.Cause = api.CauseDrift
	case s.Type != api.TypeDataQualityViolated:
		return infer.Errorf(infer.Invalid, "expected the type %s or %s, got %.100q", api.TypeRetrainRequested, api.TypeDataQualityViolated, s.Type)
	case s.Cause == "" && len(s.Features) != 1:
		return infer.Errorf(infer.Invalid, "a report of bad data without a cause: expected one finding, got %d", len(s.Features))
	case s.Cause == "":
		f := s.Features[0]
		s.Cause = f.Kind + " " + f.Feature + " " + f.Statistic
	}
	if !infer.ValidName(s.Model) || s.Version < 1 {
		return infer.Errorf(infer.Invalid, "expected a valid name of a model and a version of 1 or more, got %.300q and %d", s.Model, s.Version)
	}
	if s.Began.IsZero() {
		s.Began = s.Window.Start
	}
	if s.Began.IsZero() {
		return infer.Errorf(infer.Invalid, "expected the start of a window")
	}
	s.Asked = short(s.Asked, maxCauseBytes)
	s.Cause, s.Role = strings.ToValidUTF8(s.Cause, "\uFFFD"), short(s.Role, maxNameBytes)
	s.Segment = short(s.Segment, maxNameBytes)
	s.Began, s.CreatedAt = s.Began.UTC(), now.UTC().Round(0)
	s.Window = api.Span{Start: s.Window.Start.UTC(), End: s.Window.End.UTC()}
	s.FeaturesTotal = len(s.Features)
	s.Features = slices.Clone(s.Features[:min(len(s.Features), api.MaxSignalFindings)])
	for i := range s.Features {
		finish(&s.Features[i])
	}
	s.ID = ID(*s)
	s.Cause = short(s.Cause, maxCauseBytes) // after the id, so that signals with equal beginnings have different ids
	return nil
}

// finish limits the texts of a finding, and replaces numbers that JSON cannot express.
func finish(f *api.SignalFinding) {
	f.Feature, f.Kind, f.Statistic = short(f.Feature, maxNameBytes), short(f.Kind, maxNameBytes), short(f.Statistic, maxNameBytes)
	f.Change = short(f.Change, 2*maxNameBytes)
	for _, v := range []*float64{&f.Value, &f.P, &f.Effect, &f.Low, &f.High, &f.Shift, &f.Limit} {
		switch {
		case math.IsNaN(*v):
			*v = 0
		case math.IsInf(*v, 0):
			*v = math.Copysign(math.MaxFloat64, *v)
		}
	}
}

// short returns the first bytes of a text in valid UTF-8.
func short(s string, most int) string {
	return strings.ToValidUTF8(s[:min(len(s), most)], "\uFFFD")
}
