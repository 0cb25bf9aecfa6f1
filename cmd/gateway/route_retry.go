package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// maxRetries bounds how often --yes makes a change again; each time another
// writer was first.
const maxRetries = 100

// retry makes a change to a route that others may be changing as well.
type retry struct {
	cmd      *cobra.Command
	conn     *connection
	client   *client.Client
	name     string
	question string
	yes      bool
	terminal func(stream any) bool
}

func (r *retry) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&r.yes, "yes", "y", false, "do not ask, not even if somebody else changed the route meanwhile")
}

// do makes a change to the revision that the caller has seen, and to later ones as
// long as it is refused for being late and the caller wants it all the same. base
// is the route as it was read last. Who was first is told before the caller is asked,
// but with --yes only at the end: reading the journal takes longer than some writers
// leave between two changes.
func (r *retry) do(base api.Route, seen int64, change func(ctx context.Context, base api.Route, seen int64) error) error {
	first, firstSeen := base, seen
	defer func() {
		if r.yes && seen != firstSeen {
			r.tell(firstSeen, &first, &base)
		}
	}()
	for n := 0; ; n++ {
		err := r.limited(func(ctx context.Context) error { return change(ctx, base, seen) })
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != http.StatusPreconditionFailed || n == maxRetries {
			return err
		}
		now, errRead := r.read()
		if errRead != nil {
			return fmt.Errorf("%w; reading it again: %w", err, errRead)
		}
		if !r.yes {
			r.tell(seen, &base, &now)
			if !r.agreed(r.question) {
				return errors.New("nothing was changed; look at the new revision and try again, or give --yes")
			}
		}
		base, seen = now, now.Revision
	}
}

// tell says who was first.
func (r *retry) tell(seen int64, base, now *api.Route) {
	r.cmd.PrintErrf("Route %s was changed meanwhile:\n%s", oneLine(r.name), r.meanwhile(seen, base, now))
}

// limited gives a call the time that --timeout allows.
func (r *retry) limited(call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.cmd.Context(), r.conn.timeout)
	defer cancel()
	return call(ctx)
}

func (r *retry) read() (route api.Route, err error) {
	err = r.limited(func(ctx context.Context) error {
		route, err = r.client.Route(ctx, r.name)
		return err
	})
	return route, err
}

// meanwhile says who changed what since the revision that the caller has seen, or
// only what where the journal does not tell.
func (r *retry) meanwhile(seen int64, base, now *api.Route) string {
	var list []api.Event
	err := r.limited(func(ctx context.Context) error {
		_, err := eachEvent(ctx, r.client, 0, 0, client.EventFilter{Subject: routeSubject(r.name)}, func(events []api.Event) error {
			for i := range events {
				revision, deleted := eventRevision(&events[i]), events[i].Type == api.EventRouteDeleted
				switch {
				case !deleted && now.Revision > 0 && revision > now.Revision: // the caller's own, or a later one
				case deleted && seen == 0: // it was not declared then, so what came before is past
					list = nil
				case revision > seen || deleted && revision == seen:
					list = append(list, events[i])
				}
			}
			return nil
		})
		return err
	})
	var b strings.Builder
	if err != nil || len(list) == 0 {
		fmt.Fprintf(&b, "  revision %d → %d: %s\n", seen, now.Revision, orDash(strings.Join(changes(base, now), ", ")))
		return b.String()
	}
	for i := range list {
		e := &list[i]
		fmt.Fprintf(&b, "  revision %s, %s, %s: %s", eventRevisionText(e), timeText(&e.Time), eventActor(e), eventChange(e))
		if e.Reason != "" {
			fmt.Fprintf(&b, " (%s)", oneLine(e.Reason))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// agreed asks whoever sits at the terminal; if nobody does, the answer is no.
func (r *retry) agreed(question string) bool {
	in := r.cmd.InOrStdin()
	if !r.terminal(in) {
		return false
	}
	r.cmd.PrintErrf("%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be ended; it is left to the end of the process
		text, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			text = ""
		}
		answer <- text
	}()
	select {
	case text := <-answer:
		text = strings.ToLower(strings.TrimSpace(text))
		return text == "y" || text == "yes"
	case <-r.cmd.Context().Done():
		return false
	}
}
