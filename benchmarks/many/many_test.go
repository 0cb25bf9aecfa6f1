package main

import (
	"strings"
	"testing"

	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
	gateway "sluice.io/sluice/internal/config"
)

// The gateway takes the configuration, and one model has two versions.
func TestRepository(t *testing.T) {
	list := repository(3)
	if len(list) != 4 || list[0].Name() != edited || list[1].Name() != edited || list[1].Number != 2 {
		t.Errorf("%+v", list)
	}
	if _, err := gateway.Parse("test", []byte(config("models")), func(string) (string, bool) { return "", false }); err != nil {
		t.Error(err)
	}
}

func TestBadNumbersOfModels(t *testing.T) {
	for _, models := range []string{"", "0", "-1", "x", "10;20"} {
		o := options{models: models, repeat: 1}
		if err := o.run(t.Context(), &scenario.Bench{Gateway: "/nonexistent"}, &record.Record{}); err == nil || !strings.Contains(err.Error(), "is not a number of models") {
			t.Errorf("%q: %v", models, err)
		}
	}
}
