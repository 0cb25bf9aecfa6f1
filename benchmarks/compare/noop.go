package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// startNoop starts a no-op server for each form of answer that the gateway gave.
func (b *bench) startNoop(ctx context.Context) (*server, error) {
	if len(b.answers) == 0 {
		return nil, errors.New("the no-op server answers as much as the gateway, which has to be a contender before it")
	}
	s := b.newServer(record.Noop, at("nobody"), nil)
	type running struct {
		address string
		process *process.Server
	}
	started := map[string]running{} // by their flags
	for _, w := range b.o.works {
		flags := noopFlags(b.answers[w.name])
		key := strings.Join(flags, " ")
		if _, ok := started[key]; !ok {
			free, err := process.FreeAddresses(1)
			if err != nil {
				return nil, err
			}
			one, err := b.launch(ctx, process.Spec{
				Command: append([]string{b.o.noop, "-address", free[0]}, flags...), Ready: "http://" + free[0] + "/",
			})
			if err != nil {
				return nil, err
			}
			started[key], s.ready = running{free[0], one}, one.ReadyAfter()
		}
		s.at[w.name] = endpoint{at(started[key].address)(w.model), started[key].process}
	}
	return s, nil
}

// noopFlags has it answer like that. Of the request's id only the length matters:
// it is another one in each answer.
func noopFlags(f answerForm) []string {
	const id = "X-Request-Id: "
	flags := append(make([]string, 0, 2+2*len(f.fields)), "-size", strconv.Itoa(f.size))
	for _, field := range f.fields {
		if value, ok := strings.CutPrefix(field, id); ok {
			field = id + strings.Repeat("0", len(value))
		}
		flags = append(flags, "-header", field)
	}
	return flags
}
