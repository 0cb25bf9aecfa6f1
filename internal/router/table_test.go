package router_test

import (
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/router"
)

func TestSlotsMustBeWhole(t *testing.T) {
	f := func(want bool, slots api.Slots) {
		t.Helper()
		defer func() {
			if got := recover() == nil; got != want {
				t.Errorf("%v: accepted %v", slots, got)
			}
		}()
		router.NewSlots(slots)
	}
	f(true, api.Slots{{{0, 10_000}}, nil})
	f(true, api.Slots{{{9999, 10_000}}, {{0, 9999}}})
	f(false, nil)
	f(false, api.Slots{{{0, 9999}}})
	f(false, api.Slots{{{0, 10_001}}})
	f(false, api.Slots{{{0, 6000}}, {{5000, 10_000}}})
	f(false, api.Slots{{{0, 5000}}, {{4000, 9000}}}) // the total is right, but the ranges are not
}
