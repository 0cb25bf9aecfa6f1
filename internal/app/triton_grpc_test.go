package app_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice.io/sluice/internal/testing/compat"
)

// replayCalls sends the calls of one phase of a record to a gateway.
func replayCalls(t *testing.T, g *gateway, file, phase string) []compat.CallResult {
	t.Helper()
	calls, err := compat.LoadCalls(file)
	if err != nil {
		t.Fatal(err)
	}
	calls = slices.DeleteFunc(calls, func(c compat.Call) bool { return c.Phase != phase })
	conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the calls have ended
	results, err := compat.ReplayCalls(t.Context(), conn, calls)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// tritonRepository translates the recorded repository, and returns its folder and settings.
func tritonRepository(t *testing.T) (dir, yaml string) {
	t.Helper()
	dir = t.TempDir()
	yaml, err := compat.Translate("../../testdata/triton-2.51-models", dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, yaml
}

func TestAnswersCallsAsTriton(t *testing.T) {
	f := func(t *testing.T, triton bool) {
		repository, models := tritonRepository(t)
		var results []compat.CallResult
		for _, p := range []struct {
			record, phase, repository string
			settings                  []string
		}{
			{"grpc", "", tritonModels(t), []string{"models: {lin: {batching: {max_size: 8, oversize: reject}}}", anyone}},
			{"grpc-more", "D", repository, []string{models, anyone}},
			{"grpc-more", "X", repository, []string{models, anyone}},
			{"grpc-more", "E", repository, []string{models, "repository.control: explicit", anyone}},
		} {
			if triton {
				p.settings = append(p.settings, "server.compat: triton")
			}
			g := start(t, p.repository, p.settings...)
			results = append(results, replayCalls(t, g, "../../testdata/triton-2.51-"+p.record+".jsonl", p.phase)...)
			if err := g.stop(); err != nil { // one process has one runtime
				t.Fatal(err)
			}
		}
		for _, wrong := range compat.CheckCalls(results, triton) {
			t.Error(wrong)
		}
	}
	t.Run("default", func(t *testing.T) { f(t, false) })
	t.Run("compat", func(t *testing.T) { f(t, true) })
}
