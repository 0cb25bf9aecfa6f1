// Command load sends V2 requests to a running gateway, in a closed or in an open
// loop, and prints what came back: throughput, latencies, errors by status, and
// whether the generator itself was the limit. load -h shows its flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sluice.io/sluice/benchmarks/loadgen"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	p, err := o.plan(ctx)
	if err != nil {
		return err
	}
	if file, ok := progress.(*os.File); ok && terminal(file) {
		p.Progress = progressLine(file, &p)
	}
	r, err := loadgen.Run(ctx, p)
	if p.Progress != nil {
		fmt.Fprint(progress, "\r\x1b[K") // the line has done its work
	}
	if r == nil {
		return err
	}
	if werr := newReport(&p, r).write(out, o.output); werr != nil {
		return werr
	}
	if err != nil {
		return fmt.Errorf("ended early: %w", err)
	}
	if r.Requests == 0 {
		return errors.New("no request was answered 200")
	}
	return nil
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progressLine writes over one line, once a second.
func progressLine(w io.Writer, p *loadgen.Plan) func(loadgen.Progress) {
	total := p.Ramp + p.Warmup + p.Duration
	return func(now loadgen.Progress) {
		fmt.Fprintf(w, "\r\x1b[K%s %.0f of %.0f s: %.0f/s answered, %d in all, %d failed",
			now.Phase, now.Since.Seconds(), total.Seconds(), now.Rate, now.Answered, now.Failed)
	}
}
