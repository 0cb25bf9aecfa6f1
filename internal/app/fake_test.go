package app_test

import (
	"encoding/binary"
	"math"
	"sync"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/testing/fake"
)

// fakes is a runtime whose models behave as a test sets, whatever their files contain: each
// doubles "x", FP32 [N, 3], to "y".
type fakes struct {
	live   map[int64]fake.Options // of the versions that answer callers, by number
	shadow map[int64]fake.Options // of those that run as shadows

	mu       sync.Mutex
	sessions []*fakeSession // in the order of loading
}

// fakeSession is a model that fakes has loaded.
type fakeSession struct {
	*fake.Session
	version  int64
	settings config.Model
	over     chan struct{} // closed with the session
}

// fakeInstances is the number of instances of a version that answers callers. A shadow has one,
// which distinguishes the two.
const fakeInstances = 2

// fakeModels are settings of the model "double" with which only the requests of callers run.
const fakeModels = "instances: 2, batching: {enabled: 'false'}, warmup: false"

// Load implements serving.Runtime.
func (f *fakes) Load(_ *serving.File, v infer.Version, m config.Model) (serving.Session, error) {
	tensor := func(name string) []infer.TensorSpec {
		return []infer.TensorSpec{{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 3}, Symbols: []string{"N", ""}}}
	}
	options := f.live
	if m.Instances != fakeInstances {
		options = f.shadow
	}
	o := options[v.Number]
	if o.Compute == nil {
		o.Compute = double
	}
	s := &fakeSession{
		Session: fake.New(infer.NewModel(v.Model, v.Number, tensor("x"), tensor("y")), o),
		version: v.Number, settings: m, over: make(chan struct{}),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = append(f.sessions, s)
	return s, nil
}

// loaded returns the sessions of a version, including closed ones.
func (f *fakes) loaded(version int64) (live, shadows []*fakeSession) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sessions {
		switch {
		case s.version != version:
		case s.settings.Instances == fakeInstances:
			live = append(live, s)
		default:
			shadows = append(shadows, s)
		}
	}
	return live, shadows
}

func fakeRuntime(*config.Config, *zap.Logger) (serving.Runtime, error) { return &fakes{}, nil }

// Describe implements serving.Runtime.
func (f *fakes) Describe() string { return "fake" }

// Memory implements serving.Runtime.
func (f *fakes) Memory() map[string]int64 { return map[string]int64{"inputs": 0} }

// Close implements serving.Runtime.
func (f *fakes) Close() error { return nil }

// NewInstance implements serving.Session.
func (s *fakeSession) NewInstance() (batch.Instance, error) { return s.Session.NewInstance() }

// Traits implements serving.Session.
func (s *fakeSession) Traits() onnxfile.Traits { return onnxfile.Traits{} }

// MemoryInUse implements serving.Session.
func (s *fakeSession) MemoryInUse() int64 { return 0 }

// Close implements serving.Session.
func (s *fakeSession) Close() error {
	err := s.Session.Close()
	close(s.over)
	return err
}

func (s *fakeSession) closed() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// double computes the outputs of the models of fakes.
func double(m *infer.Model, inputs []infer.Tensor) ([]infer.Tensor, error) {
	y := inputs[0]
	y.Name, y.Data = m.Outputs[0].Name, nil
	for i := 0; i < len(inputs[0].Data); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(inputs[0].Data[i:]))
		y.Data = binary.LittleEndian.AppendUint32(y.Data, math.Float32bits(2*v))
	}
	return []infer.Tensor{y}, nil
}

// first returns the first element of an FP32 tensor.
func first(t infer.Tensor) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(t.Data))
}
