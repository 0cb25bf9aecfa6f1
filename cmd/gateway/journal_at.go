package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// past is what served a route at a time, and the rollout that had decided it.
type past struct {
	api.ServedAt

	Rollout *api.Rollout `json:"rollout,omitempty"` // as it was then
}

func newJournalAt(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "at TIME [ROUTE]",
		Short: "Show what served at a time, who decided it, and on what evidence",
		Long: `Show what served a route, or all routes and models, at a time: versions and digests, the change
that made it so with its author and reason, and the rollout behind it with its evidence.

A time is in RFC 3339, such as 2026-11-30T12:00:00Z, or how long ago it was, such as 2h.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 { //nolint:mnd // TIME ROUTE
				return usageError{"expected a time, and a route or none: " + cmd.CommandPath() + " TIME [ROUTE]"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := timeFlag("time", args[0], time.Now())
			if err != nil {
				return err
			}
			if at.IsZero() {
				return usageError{"expected a time, such as 2026-11-30T12:00:00Z or 2h"}
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]past, error) { return pastOf(ctx, cl, at, args[1:]) }, printPast)
		},
	}
}

// pastOf returns what served some routes, or all that the journal knows.
func pastOf(ctx context.Context, cl *client.Client, at time.Time, routes []string) ([]past, error) {
	if len(routes) == 0 {
		var err error
		if routes, err = routesAt(ctx, cl, at); err != nil {
			return nil, err
		}
	}
	list := make([]past, len(routes))
	for i, name := range routes {
		var err error
		if list[i].ServedAt, err = cl.ServedAt(ctx, name, at); err != nil {
			return nil, err
		}
		if list[i].Rollout, err = rolloutAt(ctx, cl, &list[i].ServedAt); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// routesAt returns the names of the routes and models that were there at a time.
func routesAt(ctx context.Context, cl *client.Client, at time.Time) ([]string, error) {
	there := map[string]bool{}
	_, err := eachEvent(ctx, cl, 0, 0, client.EventFilter{Types: []string{"route.", api.EventDefaultChanged}, Until: at}, func(events []api.Event) error {
		for i := range events {
			_, name, _ := strings.Cut(events[i].Subject, "/")
			if events[i].Type == api.EventRouteSet || events[i].Type == api.EventDefaultChanged {
				there[name] = true
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(there)), err
}

// rolloutAt returns the rollout that made the change of a route, as it was at that time, nil if none did.
func rolloutAt(ctx context.Context, cl *client.Client, s *api.ServedAt) (last *api.Rollout, err error) {
	if s.Change == nil || s.Change.Actor.Actor != "gateway" || !s.Change.Verified {
		return nil, nil //nolint:nilnil // a person or the file did
	}
	_, err = eachEvent(ctx, cl, 0, 0, client.EventFilter{Subject: "rollouts/" + s.Name, Until: s.At}, func(events []api.Event) error {
		var r api.Rollout
		if err := json.Unmarshal(events[len(events)-1].After, &r); err != nil {
			return err
		}
		last = &r
		return nil
	})
	if last != nil && !strings.HasPrefix(s.Change.Reason, "rollout "+last.ID+":") {
		last = nil
	}
	return last, err
}

func printPast(b *strings.Builder, list []past) {
	for i := range list {
		if i > 0 {
			fmt.Fprintln(b)
		}
		printServed(b, &list[i].ServedAt)
		if r := list[i].Rollout; r != nil {
			fmt.Fprintln(b)
			printRollout(b, r)
		}
	}
}
