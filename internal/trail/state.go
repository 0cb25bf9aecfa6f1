package trail

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// maxFailed is the max number of failed places that a State remembers. When it is reached,
// the State forgets the older half.
const maxFailed = 20_000

// Place is a version in the role in which it is loaded: to answer callers, or as a shadow.
type Place struct {
	infer.Version
	Shadow bool
}

// role returns the word for the place in events.
func (p Place) role() string {
	if p.Shadow {
		return api.RoleShadow
	}
	return api.RoleLive
}

// compare sorts places that answer callers first, then by model and number.
func compare(a, b Place) int {
	if a.Shadow != b.Shadow {
		if b.Shadow {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Number, b.Number))
}

// Loaded is what serves in a place. Two are the same if their digests and times are equal.
// A zero time means that the time is not known. Then only the digests are compared.
type Loaded struct {
	Digest string
	At     time.Time // when it became ready
	// Validation is what the load has shown; may be nil. The State does not keep it.
	Validation *api.Validation
}

func (l Loaded) same(as Loaded) bool {
	return l.Digest == as.Digest && (l.At.IsZero() || as.At.IsZero() || l.At.Equal(as.At))
}

// Failure is a load that failed.
type Failure struct {
	Digest string
	Files  string // the fingerprint of the files, if there is no digest
	Reason string
}

// State is what serves after some events. It belongs to one goroutine.
type State struct {
	serving  map[Place]Loaded
	defaults map[string]int64 // by model; one of an earlier run is valid until an event changes it
	open     map[infer.Version]bool
	failed   map[Place]failed
	failures int64 // the number of all failures so far
}

// failed is a failure and its number.
type failed struct {
	Failure
	number int64
}

// NewState returns the State before any event.
func NewState() *State {
	return &State{serving: map[Place]Loaded{}, defaults: map[string]int64{}, open: map[infer.Version]bool{}, failed: map[Place]failed{}}
}

// Apply applies the next event. It ignores events that are not about what serves. It fails
// with Internal, and changes nothing, if the event has an unknown form.
func (s *State) Apply(e api.Event) error {
	switch e.Type {
	case api.EventGatewayStarted, api.EventGatewayStopped:
		clear(s.serving)
		clear(s.open)
		return nil
	case api.EventDefaultChanged:
		var d api.DefaultChange
		if err := read(e, &d); err != nil {
			return err
		}
		if d.Model == "" || d.Version < 0 || e.Subject != modelSubject(d.Model) {
			return malformed(e, nil)
		}
		if s.defaults[d.Model] = d.Version; d.Version == 0 {
			delete(s.defaults, d.Model)
		}
		return nil
	case api.EventVersionLoaded, api.EventVersionReplaced, api.EventVersionRetired, api.EventVersionUnloaded, api.EventVersionFailed,
		api.EventBreakerOpened, api.EventBreakerClosed:
		c, p, err := versionOf(e)
		if err == nil {
			s.version(e.Type, c, p)
		}
		return err
	default:
		return nil
	}
}

// version applies an event of a version.
func (s *State) version(kind string, c api.VersionChange, p Place) {
	switch kind {
	case api.EventVersionFailed:
		s.fail(p, Failure{Digest: c.Digest, Files: c.Files, Reason: c.Reason})
		return
	case api.EventBreakerOpened:
		s.open[p.Version] = true
		return
	case api.EventBreakerClosed:
		delete(s.open, p.Version)
		return
	case api.EventVersionLoaded, api.EventVersionReplaced:
		loaded := Loaded{Digest: c.Digest}
		if c.LoadedAt != nil {
			loaded.At = *c.LoadedAt
		}
		s.serving[p] = loaded
		delete(s.failed, p)
	default:
		delete(s.serving, p)
	}
	if !p.Shadow { // a version that is loaded again starts with a closed breaker
		delete(s.open, p.Version)
	}
}

func (s *State) fail(p Place, f Failure) {
	if len(s.failed) >= maxFailed {
		numbers := make([]int64, 0, len(s.failed))
		for _, f := range s.failed {
			numbers = append(numbers, f.number)
		}
		slices.Sort(numbers)
		for p, f := range s.failed {
			if f.number <= numbers[len(numbers)/2] {
				delete(s.failed, p)
			}
		}
	}
	s.failures++
	s.failed[p] = failed{f, s.failures}
}

// versionOf reads the event of a version.
func versionOf(e api.Event) (c api.VersionChange, p Place, err error) {
	if err := read(e, &c); err != nil {
		return c, p, err
	}
	p = Place{Version: infer.Version{Model: c.Model, Number: c.Version}, Shadow: c.Role == api.RoleShadow}
	if c.Model == "" || c.Version < 1 || c.Role != p.role() || e.Subject != versionSubject(p.Version) {
		return c, p, malformed(e, nil)
	}
	return c, p, nil
}

func read(e api.Event, into any) error {
	if err := json.Unmarshal(e.After, into); err != nil {
		return malformed(e, err)
	}
	return nil
}

func malformed(e api.Event, err error) error {
	return &infer.Error{
		Code: infer.Internal, Op: "trail", Err: err,
		Msg: fmt.Sprintf("event %d of the journal, %.100q of %.300q, does not have the fields of its type", e.Seq, e.Type, e.Subject),
	}
}

func modelSubject(model string) string { return "models/" + model }

func versionSubject(v infer.Version) string { return fmt.Sprintf("models/%s/%d", v.Model, v.Number) }
