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

// routeEditor makes changes to routes for the commands that change them.
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

// routeApply returns what a route should be, given what it is; nil deletes it.
type routeApply func(base api.Route) (*api.Route, error)

func toNothing(api.Route) (*api.Route, error) { return nil, nil } //nolint:nilnil // it is deleted

// edit makes a change to a route and prints what it did. revision is the one that the
// change is meant for, if not the present one.
func (e *routeEditor) edit(cmd *cobra.Command, cl *client.Client, name string, revision *int64, apply routeApply) error {
	e.retry.cmd, e.retry.conn, e.retry.client, e.retry.name = cmd, e.conn, cl, name
	base, err := e.retry.read()
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status == http.StatusNotFound {
		base, err = api.Route{Name: name}, nil // the name of a new one
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

// set makes a route of one revision what it should be, and prints what that did.
func (e *routeEditor) set(ctx context.Context, cmd *cobra.Command, cl *client.Client, base api.Route, revision int64, next api.Route) error {
	if err := problems(&next, len(base.Variants) == 0); err != nil {
		return err
	}
	next.Revision = base.Revision
	if base.Revision > 0 && revision == base.Revision && reflect.DeepEqual(next, base) {
		return e.out.print(cmd.OutOrStdout(), api.RouteResult{Route: base, DryRun: e.dryRun}, func(b *strings.Builder) {
			fmt.Fprintf(b, "Route %s is so already, at revision %d\n", oneLine(base.Name), base.Revision)
		})
	}
	stats, err := cl.RouteStats(ctx, base.Name)
	before := &stats
	if err != nil {
		before = nil // they are for information, and no reason to stop
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
		return fmt.Sprintf("%s: %d of %d slots move. Go on?", strings.Join(changes(&base, &next), ", "), r.SlotsMoved, api.TotalWeight)
	}); err != nil {
		return err
	}
	result, err := send(e.dryRun)
	if err != nil {
		return err
	}
	return e.out.print(cmd.OutOrStdout(), result, func(b *strings.Builder) { printEdit(b, &base, &result, before) })
}

// delete deletes a route at one revision, and prints what that did.
func (e *routeEditor) delete(ctx context.Context, cmd *cobra.Command, cl *client.Client, base api.Route, revision int64) error {
	if base.Revision == 0 {
		return fmt.Errorf("route '%s' is not declared, so there is nothing to delete", base.Name)
	}
	options := e.author.options(revision)
	send := func(dryRun bool) (api.RouteResult, error) {
		options.DryRun = dryRun
		return cl.DeleteRoute(ctx, base.Name, options)
	}
	if err := e.confirm(send, func(r *api.RouteResult) string {
		return fmt.Sprintf("Route %s (%s) is deleted, and %d of %d slots move. Go on?", oneLine(base.Name), splitText(base.Variants), r.SlotsMoved, api.TotalWeight)
	}); err != nil {
		return err
	}
	result, err := send(e.dryRun)
	if err != nil {
		return err
	}
	return e.out.print(cmd.OutOrStdout(), result, func(b *strings.Builder) { printDelete(b, &base, &result) })
}

// confirm tries a change out and asks what question makes of the result, if it makes
// anything of it and somebody sits at the terminal. An error is that the answer is no.
func (e *routeEditor) confirm(send func(dryRun bool) (api.RouteResult, error), question func(*api.RouteResult) string) error {
	if e.dryRun || e.retry.yes || !e.retry.terminal(e.retry.cmd.InOrStdin()) {
		return nil
	}
	result, err := send(true)
	if err != nil {
		return err
	}
	if text := question(&result); text != "" && !e.retry.agreed(text) {
		return errors.New("nothing was changed; --yes does not ask")
	}
	return nil
}

// problems returns what is wrong with a route as far as it tells itself.
func problems(route *api.Route, isNew bool) error {
	if _, stable := route.Stable(); isNew && stable == 0 {
		return fmt.Errorf("there is no route or model '%s'; to declare a route, say --stable VERSION and, if its name is another, --model MODEL", route.Name)
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
