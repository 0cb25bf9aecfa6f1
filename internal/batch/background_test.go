package batch_test

import (
	"errors"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/batch"
)

func TestPriorityThatCannotBeLoweredIsToldOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		s := build(t, 3, func(o *batch.Options, _ []*fake) {
			o.Background = true
			o.Logger = zap.New(core)
		})
		s.FailToLower(errors.New("not permitted"))
		s.run()
		for id := range 5 {
			s.send(request(float32(id), 1, 1)).wantDoubled(t)
		}
		if logs.Len() != 1 || logs.All()[0].ContextMap()["error"] != "not permitted" {
			t.Errorf("log: %v, want one entry with the cause", logs.All())
		}
	})
}
