package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newRoutes(isTerminal func(stream any) bool) *cobra.Command {
	var (
		conn connection
		out  output
	)
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "Show and change how traffic is split over versions",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return listRoutes(cmd, &conn, &out) },
	}
	conn.flags(cmd, 10*time.Minute) // a change may load a version
	out.flags(cmd)
	list := &cobra.Command{
		Use: "list", Short: "List every route", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listRoutes(cmd, &conn, &out) },
	}
	cmd.AddCommand(list, newRouteGet(&conn, &out), newRouteSet(&conn, &out, isTerminal), newRouteDelete(&conn, &out, isTerminal),
		newRouteUndo(&conn, &out, isTerminal), newRouteApply(&conn, &out, isTerminal), newRouteDiff(&conn, &out), newRouteHistory(&conn, &out))
	return cmd
}

func listRoutes(cmd *cobra.Command, conn *connection, out *output) error {
	return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Route, error) { return cl.Routes(ctx) },
		func(b *strings.Builder, routes []api.Route) { printRoutes(b, routes, out.wide()) })
}

// routeGet is a call of gateway routes get.
type routeGet struct {
	conn   *connection
	out    *output
	client *client.Client
	name   string
	stats  bool
	at     string
	watch  watching
	last   *look
}

// look is the state of a watched route at a time.
type look struct {
	at    time.Time
	route api.Route
	stats api.RouteStats
}

func newRouteGet(conn *connection, out *output) *cobra.Command {
	g := routeGet{conn: conn, out: out, watch: watching{out: out, settles: true}}
	cmd := &cobra.Command{
		Use:   "get ROUTE",
		Short: "Show a route and the statistics of its versions",
		Long: `Show a route and, for each version, the requests and errors since this gateway
first routed to it, and the latency of the last one to two minutes.

-o json prints the route, which routes set -f takes, or with --stats the statistics of its
versions.

--at shows which versions and digests served the route, or a model by its own name, at a
time. The time is in RFC 3339, such as 2026-11-30T12:00:00Z, or how long ago it was, such as
2h.`,
		Args: oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error {
			g.name = args[0]
			return g.run(cmd)
		},
	}
	cmd.Flags().BoolVar(&g.stats, "stats", false, "with -o json, print the statistics of the versions instead of the route")
	cmd.Flags().StringVar(&g.at, "at", "", "show the versions that served the route at this time")
	g.watch.flags(cmd, "show it again when it changes, with the requests per second")
	return cmd
}

func (g *routeGet) run(cmd *cobra.Command) error {
	if err := g.watch.check(); err != nil {
		return err
	}
	if g.at != "" && (g.stats || g.watch.on) {
		return usageError{"give --at without --stats and --watch"}
	}
	at, err := timeFlag("at", g.at, time.Now())
	if err != nil {
		return err
	}
	if g.client, err = g.conn.client(); err != nil {
		return err
	}
	defer g.client.Close()
	if g.at != "" {
		return g.showAt(cmd, at)
	}
	one := []string{g.name}
	return g.watch.run(cmd, g.client, api.WatchQuery{Routes: one, Counters: one}, g.show)
}

// showAt prints the versions that served at a time.
func (g *routeGet) showAt(cmd *cobra.Command, at time.Time) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), g.conn.timeout)
	defer cancel()
	served, err := g.client.ServedAt(ctx, g.name, at)
	if err != nil {
		return err
	}
	return g.out.print(cmd.OutOrStdout(), served, func(b *strings.Builder) { printServed(b, &served) })
}

// show prints the route once.
func (g *routeGet) show(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, g.conn.timeout)
	defer cancel()
	now := &look{}
	var err error
	if now.route, err = g.client.Route(ctx, g.name); err != nil {
		return err
	}
	if !g.out.people() && !g.stats && !g.watch.on {
		return g.out.print(w, now.route, nil)
	}
	if now.stats, err = g.client.RouteStats(ctx, g.name); err != nil {
		return err
	}
	now.at = time.Now()
	var perSecond rates
	if g.watch.on {
		perSecond = now.rates(g.last)
	}
	g.last = now
	return g.out.print(w, now.stats, func(b *strings.Builder) { printRoute(b, &now.route, &now.stats, perSecond) })
}

// rates returns the requests per second since the last look, for variants that were there too. It
// leaves out counts that were reset.
func (l *look) rates(before *look) rates {
	r := rates{}
	if before == nil || !l.at.After(before.at) {
		return r
	}
	for i := range l.stats.Variants {
		v := &l.stats.Variants[i]
		for j := range before.stats.Variants {
			was := &before.stats.Variants[j]
			if variantKey(was) == variantKey(v) && v.Total.Requests >= was.Total.Requests {
				r[variantKey(v)] = float64(v.Total.Requests-was.Total.Requests) / l.at.Sub(before.at).Seconds()
			}
		}
	}
	return r
}

// transient reports whether a retry may help: a gateway that restarts does not answer for a while.
func transient(err error) bool {
	answer, ok := errors.AsType[*client.Error](err)
	return !ok || answer.Status >= http.StatusInternalServerError || answer.Status == http.StatusTooManyRequests
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	null, errNull := os.Stat(os.DevNull) // /dev/null is a character device too
	return err == nil && errNull == nil && info.Mode()&os.ModeCharDevice != 0 && !os.SameFile(info, null)
}
