package app_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice.io/sluice/internal/testing/compat"
)

// replayCalls sends the calls of a record to a gateway.
func replayCalls(t *testing.T, g *gateway, file string) []compat.CallResult {
	t.Helper()
	calls, err := compat.LoadCalls(file)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
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

func TestAnswersCallsAsTriton(t *testing.T) {
	f := func(t *testing.T, triton bool) {
		settings := []string{"models: {lin: {batching: {max_size: 8, oversize: reject}}}"}
		queues := []string{"repository.control: explicit", "repository.load: ['*']", `models:
  slow_q1: {instances: 1, batching: {queue: {max_requests: 1}}}
  batch4: {batching: {max_size: 4, oversize: reject}}`}
		if triton {
			settings, queues = append(settings, "server.compat: triton"), append(queues, "server.compat: triton")
		}
		g := start(t, tritonModels(t), settings...)
		results := replayCalls(t, g, "../../testdata/triton-2.51-grpc.jsonl")
		if err := g.stop(); err != nil { // one process has one runtime
			t.Fatal(err)
		}
		streams := replayCalls(t, start(t, "../../testdata/triton-2.51-models", queues...), "../../testdata/triton-2.51-grpc-streams.jsonl")
		for _, wrong := range compat.CheckCalls(slices.Concat(results, streams), triton) {
			t.Error(wrong)
		}
	}
	t.Run("default", func(t *testing.T) { f(t, false) })
	t.Run("compat", func(t *testing.T) { f(t, true) })
}
