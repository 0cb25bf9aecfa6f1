package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// eventPage is how many events are asked for at once.
const eventPage = 1_000

// journalCommand is one call of gateway journal.
type journalCommand struct {
	conn   connection
	out    output
	after  int64
	limit  int
	follow bool
	filter client.EventFilter
	since  string
	until  string
	every  time.Duration
	titled bool // the titles of the columns are printed
}

func newJournal() *cobra.Command {
	var j journalCommand
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Print who changed what, and why",
		Long: `Print the changes that the gateway's journal holds, the oldest first.

A time is one of RFC 3339, such as 2026-11-30T12:00:00Z, or how long ago it was,
such as 2h. A type that ends in a dot stands for all that begin with it:
--type version. prints what was loaded, replaced, retired, unloaded and failed.

-o json prints a list as the control API answers it, and with --follow an event
on each line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return j.run(cmd) },
	}
	j.conn.flags(cmd, time.Minute)
	j.out.flags(cmd)
	f := cmd.Flags()
	f.Int64Var(&j.after, "after", 0, "only events after the one with this number")
	f.IntVar(&j.limit, "limit", 0, "at most this many (default: all)")
	f.BoolVar(&j.follow, "follow", false, "go on with what is added, until interrupted")
	f.DurationVar(&j.every, "interval", time.Second, "with --follow, how long to wait before asking for more")
	f.StringVar(&j.filter.Subject, "subject", "", "only of what this names, routes/iris for example; models/iris/ for all versions of a model")
	f.StringSliceVar(&j.filter.Types, "type", nil, "only of these types, with commas between them or given again")
	f.StringVar(&j.since, "since", "", "only from this time on")
	f.StringVar(&j.until, "until", "", "only up to this time")
	cmd.AddCommand(newJournalVerify(&j.conn, &j.out))
	return cmd
}

func (j *journalCommand) run(cmd *cobra.Command) error {
	if err := j.out.check(); err != nil {
		return err
	}
	switch {
	case j.after < 0:
		return usageError{"--after must be 0 or more"}
	case j.limit < 0:
		return usageError{"--limit must be 0 or more"}
	case j.every <= 0:
		return usageError{"--interval must be more than 0"}
	case j.limit > 0 && j.follow:
		return usageError{"give --limit or --follow, not both"}
	case j.until != "" && j.follow:
		return usageError{"give --until or --follow, not both"}
	case j.follow && !j.out.people() && j.out.format != formJSON:
		return usageError{"--follow prints a table or json"}
	case slices.Contains(j.filter.Types, ""):
		return usageError{"--type: expected a type, such as route.set, or the beginning of one with its dot"}
	}
	if err := j.times(time.Now()); err != nil {
		return err
	}
	cl, err := j.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	w := cmd.OutOrStdout()
	if !j.out.people() && !j.follow {
		all := []api.Event{}
		_, err := j.each(cmd.Context(), cl, func(events []api.Event) error {
			all = append(all, events...)
			return nil
		})
		if err != nil {
			return err
		}
		return j.out.print(w, all, nil)
	}
	if j.follow {
		return j.goOn(cmd, cl)
	}
	if _, err = j.each(cmd.Context(), cl, func(events []api.Event) error { return j.print(w, events) }); err != nil {
		return err
	}
	return j.print(w, nil)
}

// times reads --since and --until.
func (j *journalCommand) times(now time.Time) (err error) {
	if j.filter.Since, err = timeFlag("since", j.since, now); err != nil {
		return err
	}
	if j.filter.Until, err = timeFlag("until", j.until, now); err != nil {
		return err
	}
	if j.since != "" && j.until != "" && j.filter.Since.After(j.filter.Until) {
		return usageError{"--since is after --until"}
	}
	return nil
}

// timeFlag reads a time that a flag gives, or how long ago it was. Without a text it
// is the zero time.
func timeFlag(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, usageError{fmt.Sprintf("--%s %s: expected a time such as 2026-11-30T12:00:00Z, or how long ago it was, such as 2h", name, text)}
}

// each hands on what there is after the last event, and returns the new last one.
func (j *journalCommand) each(ctx context.Context, cl *client.Client, do func([]api.Event) error) (last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.conn.timeout)
	defer cancel()
	return eachEvent(ctx, cl, j.after, j.limit, j.filter, do)
}

// goOn prints until the command is interrupted, which is how it is meant to end.
func (j *journalCommand) goOn(cmd *cobra.Command, cl *client.Client) error {
	ctx := cmd.Context()
	tick := time.NewTicker(j.every)
	defer tick.Stop()
	for first := true; ; first = false {
		var err error
		j.after, err = j.each(ctx, cl, func(events []api.Event) error { return j.print(cmd.OutOrStdout(), events) })
		if err == nil {
			err = j.print(cmd.OutOrStdout(), nil)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || !transient(err)):
			return err
		case err != nil:
			cmd.PrintErrln(errorText(err) + "; trying again")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// eventColumns are of fixed widths, since what follows is not known yet.
const eventColumns = "%-6s  %-19s  %-20s  %-24s  %-20s  %-24s  %s\n"

// print prints events, with the titles of the columns before the first, and the
// titles alone if there are none yet.
func (j *journalCommand) print(w io.Writer, events []api.Event) error {
	var b strings.Builder
	if !j.titled && j.out.people() {
		j.titled = true
		fmt.Fprintf(&b, eventColumns, "SEQ", "TIME", "TYPE", "SUBJECT", "ACTOR", "REASON", "CHANGE")
	}
	for i := range events {
		e := &events[i]
		if !j.out.people() {
			text, err := json.Marshal(e)
			if err != nil {
				return err
			}
			b.Write(append(text, '\n'))
			continue
		}
		fmt.Fprintf(&b, eventColumns, strconv.FormatInt(e.Seq, 10), timeText(&e.Time), oneLine(e.Type), oneLine(e.Subject),
			eventActor(e), quoted(e.Reason), eventChange(e))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted keeps a reason apart from what stands beside it.
func quoted(reason string) string {
	if reason == "" {
		return "-"
	}
	return `"` + oneLine(reason) + `"`
}

// eachEvent hands on the events after a number that a filter chooses, a page at a
// time, up to limit unless that is 0. It returns the number of the last one that was handed on.
func eachEvent(ctx context.Context, cl *client.Client, after int64, limit int, filter client.EventFilter, do func([]api.Event) error) (last int64, err error) {
	for left := limit; ; {
		page := eventPage
		if limit > 0 {
			page = min(page, left)
		}
		events, err := cl.Events(ctx, after, page, filter)
		if err != nil || len(events) == 0 {
			return after, err
		}
		if err := do(events); err != nil {
			return after, err
		}
		after = events[len(events)-1].Seq
		if left -= len(events); limit > 0 && left <= 0 {
			return after, nil
		}
	}
}

// eventActor is who made a change; a name that no token shows says so.
func eventActor(e *api.Event) string {
	if e.Origin != api.OriginAPI {
		return oneLine(cmp.Or(e.Actor.Actor, e.Origin))
	}
	if e.Verified {
		return oneLine(e.Actor.Actor)
	}
	return oneLine(cmp.Or(e.Actor.Actor, "anonymous")) + " (unverified)"
}

func routeSubject(name string) string { return "routes/" + name }

// eventRevision returns the revision of a route that an event made or, where it
// deleted the route, ended; 0 if there is none.
func eventRevision(e *api.Event) int64 {
	for _, text := range []json.RawMessage{e.After, e.Before} {
		if route, err := routeState(text); err == nil && route != nil {
			return route.Revision
		}
	}
	return 0
}

func eventRevisionText(e *api.Event) string {
	if e.Type == api.EventRouteDeleted {
		return "-"
	}
	return strconv.FormatInt(eventRevision(e), 10)
}

func newRouteHistory(conn *connection, out *output) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history ROUTE",
		Short: "Print who changed a route, how and why",
		Args:  oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error { return routeHistory(cmd, conn, out, args[0], limit) },
	}
	cmd.Flags().IntVarP(&limit, "number", "n", 20, "the last so many changes; 0 for all")
	return cmd
}

func routeHistory(cmd *cobra.Command, conn *connection, out *output, name string, limit int) error {
	if err := out.check(); err != nil {
		return err
	}
	if limit < 0 {
		return usageError{"-n must be 0 or more"}
	}
	cl, ctx, done, err := conn.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	list := []api.Event{}
	_, err = eachEvent(ctx, cl, 0, 0, client.EventFilter{Subject: routeSubject(name)}, func(events []api.Event) error {
		list = append(list, events...)
		if limit > 0 && len(list) > limit {
			list = append(list[:0], list[len(list)-limit:]...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(list) == 0 { // a name that is no route at all is a mistake
		if _, err := cl.Route(ctx, name); err != nil {
			return err
		}
	}
	return out.print(cmd.OutOrStdout(), list, func(b *strings.Builder) {
		fmt.Fprintln(b, "REV\tTIME\tACTOR\tREASON\tCHANGE")
		for i := range list {
			e := &list[i]
			fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\n", eventRevisionText(e), timeText(&e.Time), eventActor(e), orDash(oneLine(e.Reason)), eventChange(e))
		}
	})
}
