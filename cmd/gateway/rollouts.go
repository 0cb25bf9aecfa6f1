package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
)

func newRollouts() *cobra.Command {
	var (
		conn connection
		out  output
	)
	list := newRolloutsList(&conn, &out)
	cmd := &cobra.Command{
		Use:     "rollouts",
		Aliases: []string{"rollout"},
		Short:   "Move the traffic of a route to another version in steps, guarded by tests",
		Args:    onlyCommands,
		RunE:    list.RunE,
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.AddCommand(list, newRolloutsPlan(&conn, &out), newRolloutsStart(&conn, &out), newRolloutsStatus(&conn, &out), newRolloutsHistory(&conn, &out),
		rolloutChange(&conn, &out, client.RolloutPause, "Stop a rollout at its current step, until it is resumed"),
		rolloutChange(&conn, &out, client.RolloutResume, "Let a paused rollout go on"),
		rolloutChange(&conn, &out, client.RolloutPromote, "Make the version of a rollout stable now"),
		rolloutChange(&conn, &out, client.RolloutAbort, "Stop all traffic to the version of a rollout, and restore the route"),
		rolloutChange(&conn, &out, client.RolloutApprove, "Approve a rollout that waits for it"),
		rolloutChange(&conn, &out, client.RolloutUnfreeze, "Allow rollouts of a route again after two rollbacks in a row"))
	return cmd
}

func newRolloutsList(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the last rollout of each route",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Rollout, error) { return cl.Rollouts(ctx) }, printRollouts)
		},
	}
}

// rolloutSpec has the flags of what a rollout should do.
type rolloutSpec struct{ file, preset string }

func (s *rolloutSpec) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.file, "file", "f", "", "a file with the steps and limits, YAML or JSON; - is standard input")
	f.StringVar(&s.preset, "preset", "", "careful, standard or fast: the steps and limits that the file does not have")
}

// read returns the spec of the arguments ROUTE VERSION and the flags.
func (s *rolloutSpec) read(cmd *cobra.Command, args []string) (spec api.RolloutSpec, err error) {
	if s.file != "" {
		if spec, err = readSpec(s.file, cmd.InOrStdin()); err != nil {
			return spec, usageError{err.Error()}
		}
	}
	version, ok := infer.ParseVersion(args[1])
	if !ok {
		return spec, usageError{fmt.Sprintf("version '%s' is not a valid number: expected 1 or more", args[1])}
	}
	spec.Route, spec.Version = args[0], version
	if s.preset != "" {
		spec.Preset = s.preset
	}
	full := spec
	full.Complete()
	if problems := full.Check(); len(problems) > 0 {
		return spec, usageError{problems[0].String()}
	}
	return spec, nil
}

// readSpec reads a spec. A key that is not known is an error.
func readSpec(file string, in io.Reader) (spec api.RolloutSpec, err error) {
	text, err := readFile(file, in)
	if err != nil {
		return spec, err
	}
	values, err := jsonValues(text)
	if err == nil && len(values) != 1 {
		err = fmt.Errorf("expected one rollout, got %d", len(values))
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(values[0]))
		d.DisallowUnknownFields()
		err = d.Decode(&spec)
	}
	if err != nil {
		return spec, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "json: "))
	}
	return spec, nil
}

func routeAndVersion(cmd *cobra.Command, args []string) error {
	if len(args) != 2 { //nolint:mnd // the two
		return usageError{"expected a route and a version: " + cmd.CommandPath() + " ROUTE VERSION"}
	}
	return nil
}

func newRolloutsPlan(conn *connection, out *output) *cobra.Command {
	var s rolloutSpec
	cmd := &cobra.Command{
		Use: "plan ROUTE VERSION", Short: "Show what a rollout would do with the present traffic, and what it would find",
		Args: routeAndVersion, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := s.read(cmd, args)
			if err != nil {
				return err
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.RolloutPlan, error) {
				return cl.PlanRollout(ctx, spec)
			}, printPlan)
		},
	}
	s.flags(cmd)
	return cmd
}

func newRolloutsStart(conn *connection, out *output) *cobra.Command {
	var (
		s rolloutSpec
		a author
	)
	cmd := &cobra.Command{
		Use: "start ROUTE VERSION", Short: "Start a rollout",
		Long: `Start a rollout: the version gets a share of the requests, then a larger one, and is rolled back
if it is worse than an equal share of the stable version. gateway rollouts plan shows the steps
before.`,
		Args: routeAndVersion, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := s.read(cmd, args)
			if err != nil {
				return err
			}
			if err := a.check(cmd); err != nil {
				return err
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.Rollout, error) {
				return cl.StartRollout(ctx, spec, strings.TrimSpace(a.reason))
			}, printChanged)
		},
	}
	s.flags(cmd)
	a.flags(cmd)
	return cmd
}

func newRolloutsStatus(conn *connection, out *output) *cobra.Command {
	w := watching{out: out}
	cmd := &cobra.Command{
		Use: "status ROUTE", Aliases: []string{"describe"}, Short: "Show the last rollout of a route with its evidence",
		Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.check(); err != nil {
				return err
			}
			cl, err := conn.client()
			if err != nil {
				return err
			}
			defer cl.Close()
			return w.run(cmd, cl, api.WatchQuery{Rollouts: args}, func(ctx context.Context, to io.Writer) error {
				ctx, cancel := context.WithTimeout(ctx, conn.timeout)
				defer cancel()
				r, err := cl.Rollout(ctx, args[0])
				if err != nil {
					return err
				}
				return out.print(to, r, func(b *strings.Builder) { printRollout(b, &r) })
			})
		},
	}
	w.flags(cmd, "show it again when it changes")
	return cmd
}

func newRolloutsHistory(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use: "history ROUTE", Short: "List the last rollouts of a route, the newest first",
		Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Rollout, error) {
				return cl.RolloutHistory(ctx, args[0])
			}, printRollouts)
		},
	}
}

// rolloutChange returns the command that makes a change of a running rollout.
func rolloutChange(conn *connection, out *output, change, short string) *cobra.Command {
	var a author
	cmd := &cobra.Command{
		Use: change + " ROUTE", Short: short,
		Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(cmd); err != nil {
				return err
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.Rollout, error) {
				return cl.ChangeRollout(ctx, args[0], change, strings.TrimSpace(a.reason))
			}, printChanged)
		},
	}
	a.flags(cmd)
	return cmd
}
