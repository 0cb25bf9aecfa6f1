package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/config"
)

// simulateFlags are the flags of retrain simulate.
type simulateFlags struct {
	since, until string
	file         string
}

// policyFlags are the flags for what differs from the present policy, with the parameters of the API.
var policyFlags = [...]struct{ flag, parameter, usage string }{
	{"cool-down", "cool_down", "the time after a retraining, such as 24h, in place of retrain.cool_down"},
	{"schedule", "schedule", "the time after the last request, in place of the model's retrain.schedule; 0s: there is no schedule"},
	{"budget", "budget", "the number of requests in seven days, in place of the model's retrain.budget; 0: no limit"},
	{"min-labels", "min_labels", "the number of labels within the lookback, in place of the model's retrain.min_labels"},
	{"lookback", "lookback", "the time in which labels count, in place of the model's retrain.lookback"},
	{"unpromised", "unpromised", "hold or ask: what drift that is not promised yet does, in place of the model's drift.calibration.unpromised"},
	{"training", "training", "how long a retraining takes, in place of the median of those that have ended"},
}

func newRetrainSimulate(conn *connection, out *output) *cobra.Command {
	var s simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate MODEL",
		Short: "Say which retrainings a policy would have requested",
		Long: `Say which retrainings of a model a policy would have requested, and which it would have held back, given
the detections, the rollouts and the bad data in the journal of a running gateway. Nothing is requested.

The policy is the present one, or that of --config, with what the other flags replace.`,
		Example: `  gateway retrain simulate iris --since 720h --cool-down 24h
  gateway retrain simulate iris --config next.yaml`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := s.query(cmd, args[0])
			if err != nil {
				return err
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.RetrainSimulation, error) {
				return cl.SimulateRetraining(ctx, args[0], query)
			}, printSimulation)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.since, "since", "", "the begin: a time in RFC 3339, or how long ago, such as 72h (default 720h)")
	f.StringVar(&s.until, "until", "", "the end, likewise (default now)")
	f.StringVar(&s.file, "config", "", "a configuration file that has the policy")
	for _, p := range policyFlags {
		f.String(p.flag, "", p.usage)
	}
	return cmd
}

// query returns the parameters of the call.
func (s *simulateFlags) query(cmd *cobra.Command, model string) (url.Values, error) {
	query := url.Values{}
	if s.file != "" {
		cfg, err := config.Load(s.file)
		if err != nil {
			return nil, err
		}
		set := cfg.Model(model)
		m := set.Retrain
		query.Set("unpromised", set.Drift.Calibration.Unpromised)
		query.Set("cool_down", cfg.Retrain.CoolDown.String())
		query.Set("schedule", m.Schedule.String())
		query.Set("lookback", m.Lookback.String())
		query.Set("budget", strconv.Itoa(m.Budget))
		query.Set("min_labels", strconv.Itoa(m.MinLabels))
	}
	for _, p := range policyFlags {
		if cmd.Flags().Changed(p.flag) {
			query.Set(p.parameter, cmd.Flags().Lookup(p.flag).Value.String())
		}
	}
	for name, text := range map[string]string{"since": s.since, "until": s.until} {
		if text == "" {
			continue
		}
		if d, err := time.ParseDuration(text); err == nil {
			text = time.Now().Add(-d).UTC().Format(time.RFC3339Nano)
		} else if _, err := time.Parse(time.RFC3339, text); err != nil {
			return nil, usageError{"--" + name + ": expected a time such as 2026-11-30T12:00:00Z, or how long ago, such as 72h"}
		}
		query.Set(name, text)
	}
	return query, nil
}

// printSimulation prints requests and why others were held back.
func printSimulation(b *strings.Builder, x api.RetrainSimulation) {
	p := &x.Policy
	held := map[string]int{}
	for i := range x.Steps {
		if why := x.Steps[i].HeldBack; why != "" {
			held[why]++
		}
	}
	fmt.Fprintf(b, "From %s to %s the policy would have made %d requests; the gateway made %d.\n", timeText(&x.Since), timeText(&x.Until), x.Requests, len(x.Made))
	fmt.Fprintf(b, "Policy: cool_down %v, schedule %v, budget %d, min_labels %d within %v, unpromised %s; a retraining takes %v\n",
		time.Duration(p.CoolDown), time.Duration(p.Schedule), p.Budget, p.MinLabels, time.Duration(p.Lookback), p.Unpromised, time.Duration(p.Training))
	if len(x.Steps) > 0 {
		fmt.Fprintln(b, "\nTIME\tCAUSE\tVERSION\tROLE\tREQUEST\tWHY")
	}
	for i := range x.Steps {
		s := &x.Steps[i]
		version, outcome, why := "-", "requested", strings.Join(s.Features, ", ")
		if s.Version != 0 {
			version = strconv.FormatInt(s.Version, 10)
		}
		if s.HeldBack != "" {
			outcome = "held back: " + s.HeldBack
			if why = "until it is over"; !s.Retry.IsZero() {
				why = "until " + timeText(&s.Retry)
			}
		}
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\n", timeText(&s.At), s.Cause, version, orDash(streamText(s.Role, s.Segment)), outcome, orDash(oneLine(why)))
	}
	for _, note := range x.Notes {
		fmt.Fprintln(b, "note: "+oneLine(note))
	}
}
