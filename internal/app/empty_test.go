package app_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// With some operators an empty input ends the process inside ONNX Runtime, or reveals
// uninitialised memory: it is refused before.
func TestEmptyInputs(t *testing.T) {
	const hidden, size = 8, 4
	m := onnxgen.New("lstm") // x is [time, batch, size]
	weights := func(columns int64) *onnxgen.Value {
		return m.Init(onnxgen.Float32s(make([]float32, 4*hidden*columns), 1, 4*hidden, columns))
	}
	x := m.Input("x", infer.FP32, "time", "batch", size)
	m.Output("y", infer.FP32, m.Op("LSTM", x, weights(size), weights(hidden)).Int("hidden_size", hidden), "time", 1, "batch", hidden)
	dir := t.TempDir()
	put(t, dir, "lstm", 1, m.Bytes())
	einsum := onnxgen.New("einsum")
	x = einsum.Input("x", infer.FP32, "a", "b", "c")
	einsum.Output("y", infer.FP32, einsum.Op("Einsum", x, x).String("equation", "bij,bkj->bik"), "a", "b", "b")
	put(t, dir, "einsum", 1, einsum.Bytes())
	pick := onnxgen.New("pick")
	x = pick.Input("x", infer.FP32, "a", "b", "c")
	first := pick.Init(onnxgen.Int64s([]int64{0, 0, 0}, 1, 3))
	pick.Output("y", infer.FP32, pick.Op("GatherND", x, first), 1)
	put(t, dir, "pick", 1, pick.Bytes())
	put(t, dir, "double", 1, scale(t, 2))
	g := start(t, dir)
	ask := func(model, shape, data string, want int, text string) {
		t.Helper()
		body := `{"inputs":[{"name":"x","datatype":"FP32","shape":` + shape + `,"data":[` + data + `]}]}`
		status, answer := g.call(t, http.MethodPost, g.url+"/v2/models/"+model+"/infer", body)
		if status != want || !strings.Contains(answer, text) {
			t.Errorf("%s of %s: %d %s", shape, model, status, answer)
		}
	}
	ask("lstm", "[1,1,4]", "1,2,3,4", http.StatusOK, `"shape":[1,1,1,8]`)
	for _, shape := range []string{"[0,1,4]", "[1,0,4]", "[0,0,4]"} {
		ask("lstm", shape, "", http.StatusBadRequest, "has operator LSTM, which takes no empty input")
		ask("einsum", shape, "", http.StatusBadRequest, "has operator Einsum")
		ask("pick", shape, "", http.StatusBadRequest, "has operator GatherND")
	}
	for _, model := range []string{"lstm", "einsum", "pick"} {
		ask(model, "[1,1,4]", "1,2,3,4", http.StatusOK, "")
	}
	ask("double", "[0,3]", "", http.StatusOK, `"shape":[0,3]`) // other models accept it
}
