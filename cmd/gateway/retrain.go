package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newRetrain() *cobra.Command {
	var (
		conn connection
		out  output
	)
	list := newRetrainList(&conn, &out)
	cmd := &cobra.Command{
		Use:   "retrain",
		Short: "Request, follow and cancel retrainings of models",
		Args:  onlyCommands,
		RunE:  list.RunE,
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.AddCommand(list, newRetrainShow(&conn, &out), newRetrainRequest(&conn, &out), newRetrainSimulate(&conn, &out), newRetrainCancel(&conn, &out), newRetrainLog(&conn), newRetrainDocument(&conn, &out))
	// The names that this command had in earlier releases, when it was that of signals.
	for _, old := range []*cobra.Command{newSignalsRetry(&conn, &out), newSignalsClose(&conn, &out)} {
		old.Deprecated = "use gateway signals " + old.Name()
		cmd.AddCommand(old)
	}
	return cmd
}

func newRetrainList(conn *connection, out *output) *cobra.Command {
	var model string
	cmd := &cobra.Command{
		Use: "list", Short: "List retrainings, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Retraining, error) {
				return cl.Retrainings(ctx, model)
			},
				func(b *strings.Builder, list []api.Retraining) { printRetrainings(b, list, out.wide()) })
		},
	}
	cmd.Flags().StringVar(&model, "model", "", "only retrainings of this model")
	return cmd
}

func newRetrainShow(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a retraining: its state, its trainer, its version and the verdict on it",
		Args: oneSignal, ValidArgsFunction: conn.completeSignals(""),
		RunE: retrainRun(conn, out, func(ctx context.Context, cl *client.Client, id string) (api.Retraining, error) {
			return cl.Retraining(ctx, id)
		}, printRetraining),
	}
}

func newRetrainRequest(conn *connection, out *output) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "request MODEL", Short: "Request a retraining of a model", Args: cobra.ExactArgs(1),
		Example: `  gateway retrain request iris --reason "new labels for October"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usageError{"--reason: expected a text that says why the model is retrained"}
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.Retraining, error) {
				return cl.RequestRetraining(ctx, args[0], reason)
			}, func(b *strings.Builder, r api.Retraining) {
				fmt.Fprintf(b, "Retraining %s of %s is requested; follow it with gateway retrain show %s\n", oneLine(r.ID), oneLine(r.Model), oneLine(r.ID[:min(len(r.ID), shortID)]))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why the model is retrained, for the journal and the trainer")
	return cmd
}

func newRetrainCancel(conn *connection, out *output) *cobra.Command {
	var a author
	cmd := &cobra.Command{Use: "cancel ID", Short: "Cancel a retraining; a program that works on it is killed", Args: oneSignal, ValidArgsFunction: conn.completeSignals("")}
	a.flags(cmd)
	run := retrainRun(conn, out, func(ctx context.Context, cl *client.Client, id string) (api.Retraining, error) {
		return cl.CancelRetraining(ctx, id, strings.TrimSpace(a.reason))
	}, func(b *strings.Builder, r *api.Retraining) {
		fmt.Fprintf(b, "Retraining %s of %s is canceled\n", oneLine(r.ID), oneLine(r.Model))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.check(cmd); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

func newRetrainLog(conn *connection) *cobra.Command {
	return &cobra.Command{
		Use: "log ID", Short: "Print the output of the program that trains or has trained",
		Args: oneSignal, ValidArgsFunction: conn.completeSignals(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			id, err := wholeID(ctx, cl, args[0])
			if err != nil {
				return err
			}
			text, err := cl.TrainingLog(ctx, id)
			if err == nil {
				_, err = fmt.Fprint(cmd.OutOrStdout(), printable(string(text)))
			}
			return err
		},
	}
}

// printable replaces control characters, which could change a terminal, but not the ends of lines.
func printable(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(text, "\uFFFD")) {
		b.WriteString(strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
				return '·'
			}
			return r
		}, strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

func newRetrainDocument(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use: "document ID", Short: "Print the document that the trainer gets, as JSON",
		Args: oneSignal, ValidArgsFunction: conn.completeSignals(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("output") {
				out.format = "json"
			}
			return retrainDocument(cmd, conn, out, args[0])
		},
	}
}

func retrainDocument(cmd *cobra.Command, conn *connection, out *output, id string) error {
	return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (doc api.TrainingRequest, err error) {
		if id, err = wholeID(ctx, cl, id); err != nil {
			return doc, err
		}
		return cl.TrainingRequest(ctx, id)
	}, func(b *strings.Builder, doc api.TrainingRequest) {
		fmt.Fprintf(b, "Retraining %s of %s: %d files, %d rows, %d labels\n", oneLine(doc.ID), oneLine(doc.Model), doc.Data.FilesTotal, doc.Data.Rows, doc.Data.Labels)
	})
}

// retrainRun makes the RunE of a command from a call about one retraining and a function that prints it.
func retrainRun(conn *connection, out *output, call func(ctx context.Context, cl *client.Client, id string) (api.Retraining, error),
	text func(b *strings.Builder, r *api.Retraining),
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (r api.Retraining, err error) {
			id, err := wholeID(ctx, cl, args[0])
			if err != nil {
				return r, err
			}
			return call(ctx, cl, id)
		}, func(b *strings.Builder, r api.Retraining) { text(b, &r) })
	}
}

func printRetrainings(b *strings.Builder, list []api.Retraining, wide bool) {
	fmt.Fprintln(b, "ID\tMODEL\tPARENT\tCAUSE\tSTATE\tTRAINER\tREQUESTED\tVERSION\tVERDICT\tWHY")
	for i := range list {
		r := &list[i]
		id, why, version, verdict := r.ID, oneLine(r.Why), "-", "-"
		if !wide {
			const most = 60
			id = id[:min(shortID, len(id))]
			if letters := []rune(why); len(letters) > most {
				why = string(letters[:most]) + "…"
			}
		}
		if r.Candidate != 0 {
			version = strconv.FormatInt(r.Candidate, 10)
		}
		if r.Judgement != nil {
			verdict = r.Judgement.Verdict
		}
		fmt.Fprintf(b, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(id), oneLine(r.Model), r.Parent, oneLine(r.Cause), r.State, orDash(r.Trainer),
			timeText(&r.RequestedAt), version, verdict, orDash(why))
	}
}

func printRetraining(b *strings.Builder, r *api.Retraining) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "%s\t%s\n", name, oneLine(text))
		}
	}
	line("Id", r.ID)
	line("Model", fmt.Sprintf("%s, version %d", r.Model, r.Parent))
	line("Cause", r.Cause)
	line("State", r.State)
	line("Why", r.Why)
	line("Requested", timeText(&r.RequestedAt))
	line("Trainer", r.Trainer)
	if r.AcceptedAt != nil {
		line("Accepted", timeText(r.AcceptedAt))
	}
	if r.Deadline != nil && !r.Final() {
		line("Deadline", timeText(r.Deadline))
	}
	if r.Progress != nil {
		line("Progress", fmt.Sprintf("%.0f %%", 100**r.Progress))
	}
	line("Message", r.Message)
	line("Log", r.Log)
	line("Document", r.Document)
	if r.Candidate != 0 {
		line("Version", fmt.Sprintf("%d, %s", r.Candidate, r.Digest))
	}
	if j := r.Judgement; j != nil {
		line("Verdict", j.Verdict)
		line("Compared", fmt.Sprintf("%s; %d rows, %d with labels", cmp.Or(j.Why, "-"), j.Rows, j.Labelled))
	}
	line("Rollout", r.Rollout)
}
