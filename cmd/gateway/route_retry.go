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

// maxRetries is the max number of retries with --yes. Each retry means that another change came
// first.
const maxRetries = 100

// retry makes a change to a route that others may change at the same time.
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
	cmd.Flags().BoolVarP(&r.yes, "yes", "y", false, "do not ask, not even if the route was changed in the meantime")
}

// do makes a change to the revision that the caller has seen. If it is refused because the route
// has changed, do retries with the new revision if the caller agrees. base is the route as last
// read. It reports the other changes before it asks, but with --yes only at the end: reading the
// journal can take longer than the time between two changes of other writers.
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
			return fmt.Errorf("%w; reading the route again: %w", err, errRead)
		}
		if !r.yes {
			r.tell(seen, &base, &now)
			if !r.agreed(r.question) {
				return errors.New("nothing was changed; check the new revision and retry, or give --yes")
			}
		}
		base, seen = now, now.Revision
	}
}

// tell reports the changes that came first.
func (r *retry) tell(seen int64, base, now *api.Route) {
	r.cmd.PrintErrf("Route %s was changed in the meantime:\n%s", oneLine(r.name), r.meanwhile(seen, base, now))
}

// limited makes a call with the time limit of --timeout.
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

// meanwhile lists the changes since the revision that the caller has seen, with their authors. If
// the journal cannot be read, it shows only the difference.
func (r *retry) meanwhile(seen int64, base, now *api.Route) string {
	var list []api.Event
	err := r.limited(func(ctx context.Context) error {
		_, err := eachEvent(ctx, r.client, 0, 0, client.EventFilter{Subject: routeSubject(r.name)}, func(events []api.Event) error {
			for i := range events {
				revision, deleted := eventRevision(&events[i]), events[i].Type == api.EventRouteDeleted
				switch {
				case !deleted && now.Revision > 0 && revision > now.Revision: // the caller's change, or a later one
				case deleted && seen == 0: // it was not declared then: earlier events do not matter
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

// agreed asks on the terminal. If the input is not a terminal, the answer is no.
func (r *retry) agreed(question string) bool {
	in := r.cmd.InOrStdin()
	if !r.terminal(in) {
		return false
	}
	r.cmd.PrintErrf("%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be cancelled; it lasts until the end of the process
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
