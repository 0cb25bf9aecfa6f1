package api_test

import (
	"encoding/json"
	"math"
	"testing"

	"sluice.io/sluice/api"
)

func TestPoints(t *testing.T) {
	text, err := json.Marshal(api.Points{0, 1.5, math.NaN(), 1e-7, 123456.7, 1e21, math.Inf(1)})
	if want := `[0,1.5,null,1e-07,123457,1e+21,null]`; string(text) != want || err != nil {
		t.Errorf("%s %v, want %s", text, err, want)
	}
	var back api.Points
	if err := json.Unmarshal(text, &back); err != nil || len(back) != 7 || back[1] != 1.5 || !math.IsNaN(back[2]) || back[4] != 123457 {
		t.Errorf("%v %v", back, err)
	}
	if err := json.Unmarshal([]byte(`["x"]`), &back); err == nil {
		t.Error("a text is read as a number")
	}
	if text, err := json.Marshal(api.Points(nil)); string(text) != "[]" || err != nil {
		t.Errorf("%s %v", text, err)
	}
}
