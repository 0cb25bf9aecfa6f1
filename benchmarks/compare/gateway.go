package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// profileOf is the model that is watched for drift.
const profileOf = "lin"

// gatewayConfig is the gateway's file with every feature on, or with none that can be
// left out.
func gatewayConfig(dir, profile string, list []string, plain bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "repository: {path: %q}\nadmin: {address: %s}\nserver:\n  http: {address: %s}\n", dir, process.AdminAddress, process.HTTPAddress)
	if plain {
		b.WriteString("  access_log: {enabled: false}\n")
		return b.String()
	}
	b.WriteString("  access_log: {enabled: true, sample_every: 1000}\nroutes:\n")
	for _, name := range list {
		fmt.Fprintf(&b, "  %s: {variants: [{version: 1, weight: 100%%}], sticky: {header: %s}}\n", name, stickyHeader)
	}
	if profile != "" {
		fmt.Fprintf(&b, "models:\n  %s: {drift: {profile: %q}}\n", profileOf, profile)
	}
	return b.String()
}

// startGateway starts the gateway with the features on, or plain.
func (b *bench) startGateway(ctx context.Context, name string) (*server, error) {
	g, err := process.StartGateway(ctx, process.GatewaySpec{
		Program: b.o.gateway, File: filepath.Join(b.dir, name+".yaml"), CPUs: b.serverCPUs(), Timeout: patience,
		Config: gatewayConfig(b.models, b.profile, workModels(b.o.works), name == record.Plain),
	})
	if err != nil {
		return nil, err
	}
	b.started = append(b.started, g.Server)
	const defaultBatch = 256 // batching.max_size
	s := b.newServer(name, at(g.HTTP), g.Server)
	s.version, s.gateway, s.instances, s.batch = record.ThisHost().Revision, g, b.cores(), defaultBatch
	s.scrapes, err = scrapeCost(ctx, g)
	return s, err
}

// scrapeCost is what a scrape allocates, once the connection is there: the least of
// some, since a gateway has other things to do as well.
func scrapeCost(ctx context.Context, g *process.Gateway) (least told, err error) {
	const tries = 6
	var last told
	for i := range tries {
		next, err := scrape(ctx, g, "")
		if err != nil {
			return told{}, err
		}
		cost := next.less(last)
		if last = next; i == 0 {
			continue
		}
		if i == 1 || cost.mallocs < least.mallocs {
			least = cost
		}
	}
	return least, nil
}

// makeProfile makes the profile of rows like those that are sent.
func (b *bench) makeProfile(ctx context.Context) error {
	const rows, columns = 4000, 16
	rng := rand.New(rand.NewPCG(1, 1))
	var table strings.Builder
	for range rows {
		for c := range columns {
			if c > 0 {
				table.WriteByte(',')
			}
			fmt.Fprintf(&table, "%.6g", rng.NormFloat64())
		}
		table.WriteByte('\n')
	}
	b.profile = filepath.Join(b.dir, "profile.json")
	cmd := exec.CommandContext(ctx, b.o.gateway, "profile", "build", "-", "--header", "no", //nolint:gosec // the operator's own binary
		"--model-repository", b.models, "--model", profileOf, "-o", b.profile)
	cmd.Stdin = strings.NewReader(table.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gateway profile: %w: %s", err, out)
	}
	return nil
}
