package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/offline"
)

// driftReplay is a call of gateway drift replay.
type driftReplay struct {
	conn    *connection
	out     *output
	profile string
}

func newDriftReplay(conn *connection, out *output) *cobra.Command {
	r := driftReplay{conn: conn, out: out}
	cmd := &cobra.Command{
		Use:   "replay SEQ --profile FILE",
		Short: "Judge the window of a drift event in the journal again",
		Long: `Judge the window of a drift event in the journal again, from the state that the
detector had then, and say whether the verdict is bit for bit the same. SEQ is the number of
an event of type drift.state, as gateway journal prints it.`,
		Args: cobra.ArbitraryArgs,
		RunE: r.run,
	}
	cmd.Flags().StringVar(&r.profile, "profile", "", "the profile that the window was compared with")
	return cmd
}

// errOther is the error of a replay with a different verdict.
var errOther = errors.New("the verdict differs from the one in the journal")

func (r *driftReplay) run(cmd *cobra.Command, args []string) error {
	if err := r.out.check(); err != nil {
		return err
	}
	if len(args) != 1 {
		return usageError{"expected one event: " + cmd.CommandPath() + " SEQ --profile FILE"}
	}
	seq, err := strconv.ParseInt(args[0], 10, 64)
	switch {
	case err != nil || seq < 1:
		return usageError{fmt.Sprintf("'%s' is not a valid number of an event: expected 1 or more", args[0])}
	case r.profile == "":
		return usageError{"--profile is missing: name the profile that the window was compared with"}
	}
	p, err := readProfile(r.profile)
	if err != nil {
		return err
	}
	cl, ctx, done, err := r.conn.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	evidence, err := driftEvent(ctx, cl, seq)
	if err != nil {
		return err
	}
	replayed, err := offline.ReplayDrift(p, evidence)
	if err != nil {
		return fmt.Errorf("event %d: %w", seq, err)
	}
	err = r.out.print(cmd.OutOrStdout(), replayed, func(b *strings.Builder) { printReplay(b, evidence, replayed) })
	if err == nil && !replayed.Same {
		err = errOther
	}
	return err
}

// driftEvent reads a drift event from the journal.
func driftEvent(ctx context.Context, cl *client.Client, seq int64) (*api.DriftEvidence, error) {
	events, err := cl.Events(ctx, seq-1, 1, client.EventFilter{})
	switch {
	case err != nil:
		return nil, err
	case len(events) == 0 || events[0].Seq != seq:
		return nil, fmt.Errorf("the journal has no event %d", seq)
	case events[0].Type != api.EventDriftState:
		return nil, fmt.Errorf("event %d is of type %s, expected %s", seq, events[0].Type, api.EventDriftState)
	}
	var evidence api.DriftEvidence
	if err := json.Unmarshal(events[0].After, &evidence); err != nil {
		return nil, fmt.Errorf("event %d has a form that this program does not know: %w", seq, err)
	}
	return &evidence, nil
}

func printReplay(b *strings.Builder, e *api.DriftEvidence, r *offline.Replayed) {
	v := &r.Verdict
	fmt.Fprintf(b, "%s/%d %s: %s → %s, the window from %s to %s had %d rows\n", oneLine(e.Model), e.Version, streamText(e.Role, e.Segment),
		oneLine(e.From), v.State, timeText(&v.Window.Start), timeText(&v.Window.End), v.Rows)
	printFindings(b, v, false)
	if r.Same {
		fmt.Fprintln(b, "\nThe verdict is bit for bit the same.")
		return
	}
	fmt.Fprintf(b, "\nThe verdict or the state after it differs from the journal. The journal has %s: %s\n", oneLine(e.Verdict.State), orDash(troubleText(&e.Verdict, maxShown)))
}

// maxShown is the max number of features in a line.
const maxShown = 5
