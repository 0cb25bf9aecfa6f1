package front

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/testing/access"
)

func TestNewNeedsACompleteAccessLog(t *testing.T) {
	f := func(l AccessLog, complete bool) {
		t.Helper()
		defer func() {
			t.Helper()
			text, _ := recover().(string)
			if refused := strings.HasPrefix(text, "BUG: front.New needs SampleEvery and MaxErrors"); refused == complete {
				t.Errorf("%+v: refused is %t", l, refused)
			}
		}()
		_, err := New(Options{
			Predictor: struct{ Predictor }{}, Catalog: struct{ Catalog }{}, Settings: struct{ Settings }{}, Log: zap.NewNop(), Callers: access.Open(),
			Bounds: Limits{MaxInFlight: 1, MaxControlInFlight: 1, MaxMemory: 1}, AccessLog: l,
		})
		if err != nil {
			t.Error(err)
		}
	}
	f(AccessLog{}, true)
	f(AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 1}, true)
	f(AccessLog{Enabled: true, MaxErrors: 1}, false)
	f(AccessLog{Enabled: true, SampleEvery: 1}, false)
}
