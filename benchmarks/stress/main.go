// Command stress measures the gateway where it is not comfortable: hostile
// clients, overload, bursts, many connections, changes under load; and what joining
// requests gains. Every scenario starts a gateway of its own on the loopback and
// ends with it.
//
//	go run ./stress
//	go run ./stress -only overload,burst
//	go run ./stress -group batching
package main

import (
	"context"

	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
)

// bench is what all scenarios share.
type bench struct{ *scenario.Bench }

type (
	gateway = scenario.Gateway
	setup   = scenario.Setup
)

// of is a scenario.
func of(name string, run func(context.Context, *bench, *record.Record) error) scenario.Scenario {
	return scenario.Scenario{Name: name, Run: func(ctx context.Context, b *scenario.Bench, r *record.Record) error { return run(ctx, &bench{b}, r) }}
}

func main() { scenario.Main("stress", true, groups()) }

// groups are all reports by their names; the scenarios are in the reports' order.
func groups() map[string]scenario.Group {
	return map[string]scenario.Group{
		"stress": {Title: "Under stress", Scenarios: []scenario.Scenario{
			of("slow", slowWithin),
			of("slow-beyond", slowBeyond),
			of("unread", unread),
			of("bombs", bombs),
			of("bombs-default", bombsDefault),
			of("pipelined", pipelined),
			of("brackets", brackets),
			of("deadline", deadlineNodes),
			of("deadline-one-node", deadlineNode),
			of("connection-limit", connectionLimitReached),
			of("levels", levels),
			of("overload", overload),
			of("burst", burst),
			of("many-connections", manyConnections),
			of("heavy", heavyBesideLight),
			of("changes", changes),
		}},
		"batching": {Title: "Batching that pays", Scenarios: []scenario.Scenario{
			of("batching", batchedEncoder),
			of("rows", batchedRows),
			of("lengths", lengths),
		}},
	}
}
