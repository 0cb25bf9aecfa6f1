package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newStatus() *cobra.Command {
	var (
		conn connection
		out  output
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the status of a running gateway",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			cl, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			status, err := cl.Status(ctx)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), status, func(b *strings.Builder) { printStatus(ctx, b, cl, &status) })
		},
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	return cmd
}

// printStatus prints a status, with counts of models, routes, streams and signals, and warnings.
func printStatus(ctx context.Context, b *strings.Builder, cl *client.Client, s *api.ServerStatus) {
	ready := "yes"
	if err := cl.AdminReady(ctx); err != nil {
		ready = "no: " + oneLine(err.Error())
	}
	line(b, "Ready", ready)
	line(b, "Started", fmt.Sprintf("%s, %v ago", timeText(&s.StartedAt), time.Since(s.StartedAt).Round(time.Second)))
	line(b, "Version", strings.TrimSuffix(fmt.Sprintf("%s, %s, %s", oneLine(s.Version), oneLine(s.Runtime), oneLine(s.GoVersion)), ", "))
	line(b, "Model control", oneLine(s.ModelControl))
	if models, err := cl.Models(ctx); err == nil {
		states := map[string]int{}
		for i := range models {
			states[models[i].State]++
		}
		line(b, "Versions", countsText(states, api.StateReady, api.StateLoading, api.StateUnloading, api.StateUnavailable))
	}
	if routes, err := cl.Routes(ctx); err == nil {
		declared := 0
		for i := range routes {
			if routes[i].Revision > 0 {
				declared++
			}
		}
		line(b, "Routes", fmt.Sprintf("%d declared, %d implied", declared, len(routes)-declared))
	}
	if streams, err := cl.Drift(ctx); err == nil && len(streams) > 0 {
		states := map[string]int{}
		for i := range streams {
			states[streams[i].State]++
		}
		line(b, "Drift", countsText(states, "OK", "SUSPECTED", "DETECTED", "RECOVERING", "OFF"))
	}
	if open, err := cl.Signals(ctx, client.SignalFilter{State: api.SignalOpen}); err == nil {
		line(b, "Open signals", strconv.Itoa(len(open)))
	}
	for _, w := range s.RepositoryWarnings {
		line(b, "Not served", oneLine(w.String()))
	}
}

// countsText lists counts in the given order: "4 READY, 1 UNAVAILABLE".
func countsText(counts map[string]int, order ...string) string {
	var list []string
	for _, what := range order {
		if n := counts[what]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, what))
		}
	}
	if len(list) == 0 {
		return "0"
	}
	return strings.Join(list, ", ")
}

func newConfig() *cobra.Command {
	var (
		conn connection
		out  output
		s    settings
	)
	cmd := &cobra.Command{
		Use:   "config [-c FILE]",
		Short: "Show the effective configuration",
		Long: `Show the effective configuration of a running gateway or, with -c, of a file and
the flags for serve. It has every setting, including defaults. Secrets are hidden. The
output is YAML in the form of a configuration file, or JSON with -o json.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if out.people() {
				out.format = formYAML
			}
			if s.file != "" || cmd.Flags().Changed("model-repository") {
				cfg, err := s.read()
				if err != nil {
					return err
				}
				return out.print(cmd.OutOrStdout(), cfg.Document(), nil)
			}
			return show(cmd, &conn, &out, func(ctx context.Context, cl *client.Client) (map[string]any, error) { return cl.Config(ctx) }, nil)
		},
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	s.flags(cmd)
	return cmd
}

func newReload() *cobra.Command {
	var (
		conn connection
		out  output
	)
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make a running gateway read its configuration and repository again",
		Long: `Make a running gateway read its configuration and its repository again, and print
the changes. If there is an error, nothing changes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, &conn, &out, func(ctx context.Context, cl *client.Client) (api.ReloadResult, error) { return cl.Reload(ctx) }, printReload)
		},
	}
	conn.flags(cmd, 10*time.Minute) // a reload may load versions
	out.flags(cmd)
	return cmd
}

func printReload(b *strings.Builder, result api.ReloadResult) {
	if len(result.Changed) == 0 {
		fmt.Fprintln(b, "nothing has changed")
	}
	for _, text := range append(result.Changed, result.Differing...) {
		fmt.Fprintln(b, oneLine(text))
	}
}
