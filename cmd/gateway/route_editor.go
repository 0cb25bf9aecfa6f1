package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// routeEditor changes routes for several commands.
type routeEditor struct {
	conn   *connection
	out    *output
	dryRun bool
	author author
	retry  retry
}

func newRouteEditor(conn *connection, out *output, isTerminal func(stream any) bool) routeEditor {
	return routeEditor{conn: conn, out: out, retry: retry{terminal: isTerminal, question: "Apply your change to the new revision?"}}
}

func (e *routeEditor) flagsOf(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&e.dryRun, "dry-run", false, "show what would change, and change nothing")
	e.author.flags(cmd)
	e.retry.flags(cmd)
}

// routeApply returns the new state of a route for its current state; nil deletes it.
type routeApply func(base api.Route) (*api.Route, error)

func toNothing(api.Route) (*api.Route, error) { return nil, nil } //nolint:nilnil // nil deletes the route

// edit changes a route and prints the result. revision is the revision that the change is made to,
// nil for the current one.
func (e *routeEditor) edit(cmd *cobra.Command, cl *client.Client, name string, revision *int64, apply routeApply) error {
	e.retry.cmd, e.retry.conn, e.retry.client, e.retry.name = cmd, e.conn, cl, name
	base, err := e.retry.read()
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status == http.StatusNotFound {
		base, err = api.Route{Name: name}, nil // the state of a new route
	}
	if err != nil {
		return err
	}
	seen := base.Revision
	if revision != nil {
		seen = *revision
	}
	return e.retry.do(base, seen, func(ctx context.Context, base api.Route, seen int64) error {
		next, err := apply(base)
		switch {
		case err != nil:
			return err
		case next == nil:
			return e.delete(ctx, cmd, cl, base, seen)
		default:
			return e.set(ctx, cmd, cl, base, seen, *next)
		}
	})
}

// set sets a route at a revision and prints the result.
func (e *routeEditor) set(ctx context.Context, cmd *cobra.Command, cl *client.Client, base api.Route, revision int64, next api.Route) error {
	if err := problems(&next, len(base.Variants) == 0); err != nil {
		return err
	}
	next.Revision = base.Revision
	if base.Revision > 0 && revision == base.Revision && reflect.DeepEqual(next, base) {
		return e.out.print(cmd.OutOrStdout(), api.RouteResult{Route: base, DryRun: e.dryRun}, func(b *strings.Builder) {
			fmt.Fprintf(b, "Route %s already has this state, at revision %d\n", oneLine(base.Name), base.Revision)
		})
	}
	stats, err := cl.RouteStats(ctx, base.Name)
	before := &stats
	if err != nil {
		before = nil // without statistics, the change is still made
	}
	options := e.author.options(revision)
	send := func(dryRun bool) (api.RouteResult, error) {
		options.DryRun = dryRun
		return cl.SetRoute(ctx, next, options)
	}
	if err := e.confirm(send, func(r *api.RouteResult) string {
		if !r.MovesMuch() {
			return ""
		}
		return fmt.Sprintf("%s: %d of %d slots move. Continue?", strings.Join(changes(&base, &next), ", "), r.SlotsMoved, api.TotalWeight)
	}); err != nil {
		return err
	}
	result, err := send(e.dryRun)
	if err != nil {
		return err
	}
	return e.out.print(cmd.OutOrStdout(), result, func(b *strings.Builder) { printEdit(b, &base, &result, before) })
}

// delete deletes a route at a revision and prints the result.
func (e *routeEditor) delete(ctx context.Context, cmd *cobra.Command, cl *client.Client, base api.Route, revision int64) error {
	if base.Revision == 0 {
		return fmt.Errorf("route '%s' is not declared, so it cannot be deleted", base.Name)
	}
	options := e.author.options(revision)
	send := func(dryRun bool) (api.RouteResult, error) {
		options.DryRun = dryRun
		return cl.DeleteRoute(ctx, base.Name, options)
	}
	if err := e.confirm(send, func(r *api.RouteResult) string {
		return fmt.Sprintf("Route %s (%s) will be deleted, and %d of %d slots move. Continue?", oneLine(base.Name), splitText(base.Variants), r.SlotsMoved, api.TotalWeight)
	}); err != nil {
		return err
	}
	result, err := send(e.dryRun)
	if err != nil {
		return err
	}
	return e.out.print(cmd.OutOrStdout(), result, func(b *strings.Builder) { printDelete(b, &base, &result) })
}

// confirm makes a dry run and asks the question that its result leads to, if there is one and the
// input is a terminal. It returns an error if the answer is no.
func (e *routeEditor) confirm(send func(dryRun bool) (api.RouteResult, error), question func(*api.RouteResult) string) error {
	if e.dryRun || e.retry.yes || !e.retry.terminal(e.retry.cmd.InOrStdin()) {
		return nil
	}
	result, err := send(true)
	if err != nil {
		return err
	}
	if text := question(&result); text != "" && !e.retry.agreed(text) {
		return errors.New("nothing was changed; --yes skips the question")
	}
	return nil
}

// problems returns the problems of a route that can be found without the gateway.
func problems(route *api.Route, isNew bool) error {
	if _, stable := route.Stable(); isNew && stable == 0 {
		return fmt.Errorf("there is no route or model '%s'; to declare a route, give --stable VERSION and, if the model has another name, --model MODEL", route.Name)
	}
	var list []string
	for _, p := range route.Check() {
		list = append(list, p.String())
	}
	if len(list) > 0 {
		return errors.New(strings.Join(list, "; "))
	}
	return nil
}
