package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// driftShow is a call of gateway drift.
type driftShow struct {
	conn   *connection
	out    *output
	client *client.Client
	model  string // "": all models
	all    bool
	watch  watching
}

func newDrift() *cobra.Command {
	var (
		conn connection
		out  output
	)
	d := driftShow{conn: &conn, out: &out, watch: watching{out: &out}}
	cmd := &cobra.Command{
		Use:   "drift [MODEL]",
		Short: "Show data drift: whether requests and answers still look like the training data",
		Long: `Show the drift state of each version in each role, compared with its reference. For
those that are not OK, show what differs, the strongest evidence first. Then show whether
labels say that predictions became worse, if some were sent.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{"name one model or none: " + cmd.CommandPath() + " [MODEL]"}
			}
			return nil
		},
		ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				d.model = args[0]
			}
			return d.run(cmd)
		},
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.Flags().BoolVarP(&d.all, "all", "a", false, "show every feature of the last window, also those that are OK")
	d.watch.flags(cmd, "show it again when it changes")
	cmd.AddCommand(newDriftSimulate(), newDriftReplay(&conn, &out), newDriftReport(&conn, &out), newDriftParity())
	return cmd
}

func (d *driftShow) run(cmd *cobra.Command) (err error) {
	if err := d.watch.check(); err != nil {
		return err
	}
	if d.client, err = d.conn.client(); err != nil {
		return err
	}
	defer d.client.Close()
	models := []string{api.WatchAll}
	if d.model != "" {
		models = []string{d.model}
	}
	return d.watch.run(cmd, d.client, api.WatchQuery{Drift: models}, d.show)
}

// show prints the state once.
func (d *driftShow) show(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, d.conn.timeout)
	defer cancel()
	var (
		list []api.DriftStatus
		err  error
	)
	if d.model == "" {
		list, err = d.client.Drift(ctx)
	} else {
		list, err = d.client.DriftOf(ctx, d.model)
	}
	if err != nil {
		return err
	}
	return d.out.print(w, list, func(b *strings.Builder) {
		printDrift(b, list, d.all)
		d.printLosses(ctx, b)
	})
}

// printLosses prints whether labels show that models became worse, if there are some.
func (d *driftShow) printLosses(ctx context.Context, b *strings.Builder) {
	reports, err := d.client.LabelReports(ctx)
	var e *client.Error
	switch {
	case errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized): // an older gateway, or no permission
	case err != nil:
		fmt.Fprintf(b, "\nThe losses of labelled predictions are not known: %s\n", oneLine(err.Error()))
	default:
		reports = slices.DeleteFunc(reports, func(r api.LabelReport) bool { return d.model != "" && r.Model != d.model })
		printLosses(b, reports)
	}
}
