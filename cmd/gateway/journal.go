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

// eventPage is the number of events in one request.
const eventPage = 1_000

// journalCommand is a call of gateway journal.
type journalCommand struct {
	conn   connection
	out    output
	after  int64
	limit  int
	last   int
	follow bool
	filter client.EventFilter
	since  string
	until  string
	every  time.Duration
	titled bool // the titles of the columns are already printed
}

func newJournal() *cobra.Command {
	var j journalCommand
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Print the journal of changes, with their authors and reasons",
		Long: `Print the changes in the gateway's journal, the oldest first.

A time is in RFC 3339, such as 2026-11-30T12:00:00Z, or how long ago it was, such as 2h. A
type that ends in a dot stands for all types that start with it: --type version. prints the
events of versions that were loaded, replaced, retired, unloaded, or that failed.

-o json prints a list in the form of the control API. With --follow it prints an event on
each line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return j.run(cmd) },
	}
	j.conn.flags(cmd, time.Minute)
	j.out.flags(cmd)
	f := cmd.Flags()
	f.Int64Var(&j.after, "after", 0, "only events after the one with this number")
	f.IntVar(&j.limit, "limit", 0, "at most this many (default: all)")
	f.IntVar(&j.last, "last", 0, "only the last ones, this many")
	f.BoolVar(&j.follow, "follow", false, "wait for new events and print them, until interrupted")
	f.DurationVar(&j.every, "interval", time.Second, "with --follow, the time between two requests to a gateway that does not tell of new events")
	f.StringVar(&j.filter.Subject, "subject", "", "only events about this subject, for example routes/iris, or models/iris/ for all versions of a model")
	f.StringSliceVar(&j.filter.Types, "type", nil, "only events of these types, separated by commas (repeatable)")
	f.StringVar(&j.since, "since", "", "only events from this time on")
	f.StringVar(&j.until, "until", "", "only events up to this time")
	cmd.AddCommand(newJournalVerify(&j.conn, &j.out), newJournalExport(&j.conn), newJournalAt(&j.conn, &j.out))
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
	case j.last < 0:
		return usageError{"--last must be 0 or more"}
	case j.last > 0 && (j.limit > 0 || j.follow):
		return usageError{"give --last alone, without --limit and --follow"}
	case j.every <= 0:
		return usageError{"--interval must be more than 0"}
	case j.limit > 0 && j.follow:
		return usageError{"give --limit or --follow, not both"}
	case j.until != "" && j.follow:
		return usageError{"give --until or --follow, not both"}
	case j.follow && !j.out.people() && j.out.format != formJSON:
		return usageError{"--follow prints a table or json"}
	case slices.Contains(j.filter.Types, ""):
		return usageError{"--type: expected a type such as route.set, or the first part of one with its dot, such as route."}
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

// timeFlag parses the value of a flag: a time, or how long ago it was. It returns the zero time for
// an empty text.
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

// each calls do with the events after the last one, and returns the number of the new last one.
func (j *journalCommand) each(ctx context.Context, cl *client.Client, do func([]api.Event) error) (last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.conn.timeout)
	defer cancel()
	if j.last > 0 {
		return 0, j.newest(ctx, cl, do)
	}
	return eachEvent(ctx, cl, j.after, j.limit, j.filter, do)
}

// newest calls do with the last events, the oldest first.
func (j *journalCommand) newest(ctx context.Context, cl *client.Client, do func([]api.Event) error) error {
	filter, all := j.filter, []api.Event{}
	for filter.Newest = true; len(all) < j.last; {
		events, err := cl.Events(ctx, j.after, min(eventPage, j.last-len(all)), filter)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		all = append(all, events...)
		filter.Before = events[len(events)-1].Seq
	}
	slices.Reverse(all)
	return do(all)
}

// goOn prints new events until the command is interrupted, which is its normal end.
func (j *journalCommand) goOn(cmd *cobra.Command, cl *client.Client) error {
	show := func(events []api.Event) error { return j.print(cmd.OutOrStdout(), events) }
	var err error
	if j.after, err = j.each(cmd.Context(), cl, show); err != nil { // what is there already
		return err
	}
	if err := show(nil); err != nil {
		return err
	}
	q := api.WatchQuery{Journal: true, After: j.after, Subject: j.filter.Subject, Types: j.filter.Types}
	for u, err := range cl.Watch(cmd.Context(), q) {
		switch {
		case tooOld(err):
			cmd.PrintErrf("the gateway is older and does not tell what changes; asking every %v\n", j.every)
			return j.poll(cmd, cl, show)
		case err != nil && !transient(err):
			return err
		case err != nil:
			cmd.PrintErrln(errorText(err) + "; trying again")
		case u.Gap != nil:
			cmd.PrintErrln("some events are not shown: " + oneLine(u.Gap.Why))
		case u.Event != nil && !u.Event.Time.Before(j.filter.Since):
			if err := show([]api.Event{*u.Event}); err != nil {
				return err
			}
		}
	}
	return nil
}

// poll asks for new events again and again.
func (j *journalCommand) poll(cmd *cobra.Command, cl *client.Client, show func([]api.Event) error) error {
	tick := time.NewTicker(j.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-cmd.Context().Done():
			return nil
		}
		var err error
		j.after, err = j.each(cmd.Context(), cl, show)
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case err != nil && !transient(err):
			return err
		case err != nil:
			cmd.PrintErrln(errorText(err) + "; trying again")
		}
	}
}

// eventColumns have fixed widths, since later events are not known yet.
const eventColumns = "%-6s  %-19s  %-20s  %-24s  %-20s  %-24s  %s\n"

// print prints events, with the titles of the columns before the first event. Without events it
// prints only the titles.
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

// quoted puts a reason into quotes, to separate it from its neighbours.
func quoted(reason string) string {
	if reason == "" {
		return "-"
	}
	return `"` + oneLine(reason) + `"`
}

// eachEvent calls do with the events after a number that match a filter, page by page, up to limit
// events (0: all). It returns the number of the last event.
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

// eventActor returns the author of a change, with "(unverified)" if no token proves the name.
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

// eventRevision returns the revision of a route that an event made or, if it deleted the route,
// ended. It returns 0 if there is none.
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
		Short: "Print the changes of a route, with their authors and reasons",
		Args:  oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error { return routeHistory(cmd, conn, out, args[0], limit) },
	}
	cmd.Flags().IntVarP(&limit, "number", "n", 20, "how many of the last changes to print; 0 for all")
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
	if len(list) == 0 { // an unknown name is an error
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
