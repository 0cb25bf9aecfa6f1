package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// replayCommand is a call of gateway replay.
type replayCommand struct {
	conn    connection
	out     output
	from    offline.Recording
	version int64
	against int64
	since   string
	until   string
	pace    string
	fail    bool
	options offline.ReplayOptions
}

// replayDocument is the report with -o json.
type replayDocument struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Against int64  `json:"against,omitempty"` // the version that was asked too; absent: the recorded answers
	offline.ReplayReport
	Read offline.RecordingCounts `json:"read"`
}

func newReplay() *cobra.Command {
	var c replayCommand
	cmd := &cobra.Command{
		Use:   "replay MODEL --version N [--from DIR|FILE|URL]",
		Short: "Send recorded requests to a version, and compare its answers",
		Long: `Send recorded requests to a loaded version, and compare its answers with the recorded ones.

--from is a folder of captured traffic, the URL of its bucket, one of its Parquet files, a tar of
them, or a file with a V2 request as JSON on each line. Without --from, the gateway exports what it
has captured, which needs the action capture. With --against the answers of another version are compared instead.

The requests are in no statistics of callers, and wait until those of callers were run. A version
is loaded if a route names it, also with the weight 0.`,
		Args:              oneModel,
		ValidArgsFunction: c.conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.from.Model = args[0]
			return c.run(cmd)
		},
	}
	c.conn.flags(cmd, time.Minute)
	c.out.flags(cmd)
	f := cmd.Flags()
	f.Int64Var(&c.version, "version", 0, "the version to send the requests to")
	f.Int64Var(&c.against, "against", 0, "compare with the answers of this version, instead of the recorded ones")
	f.StringVar(&c.from.Path, "from", "", "a folder or a bucket (s3://…) of captured traffic, a file of it, or a file of JSON lines (default: what the gateway has captured)")
	f.Int64Var(&c.from.Version, "answered-by", 0, "only captured requests that this version answered")
	f.StringVar(&c.since, "since", "", "only requests that arrived at or after this time, RFC 3339, or as long ago as this: 24h")
	f.StringVar(&c.until, "until", "", "only requests that arrived before this time")
	f.StringVar(&c.pace, "pace", "max", "1x as recorded, 10x ten times as fast, or max")
	f.IntVar(&c.options.Concurrency, "concurrency", 4, "requests in progress at most")
	f.IntVar(&c.options.Limit, "limit", 0, "requests to send at most (default: all)")
	f.Float64Var(&c.options.Tolerance, "tolerance", 1e-4, "an element may differ by this, times its size if that is more than 1")
	f.BoolVar(&c.fail, "fail", false, "exit with 1 if an answer differs, is missing or cannot be compared")
	return cmd
}

func (c *replayCommand) check() (err error) {
	const most = 32 // as the gateway takes
	switch {
	case c.version < 1:
		return usageError{"--version: expected the version to send the requests to"}
	case c.against < 0 || c.from.Version < 0:
		return usageError{"--against and --answered-by: expected a version of 1 or more"}
	case c.options.Concurrency < 1 || c.options.Concurrency > most:
		return usageError{fmt.Sprintf("--concurrency: expected 1 to %d", most)}
	case c.options.Limit < 0:
		return usageError{"--limit: expected 0 or more"}
	case !(c.options.Tolerance >= 0):
		return usageError{"--tolerance: expected a number of 0 or more"}
	}
	if c.options.Pace, err = parsePace(c.pace); err != nil {
		return err
	}
	if c.from.Since, err = parseTime("--since", c.since); err != nil {
		return err
	}
	if c.from.Until, err = parseTime("--until", c.until); err != nil {
		return err
	}
	return c.out.check()
}

// parsePace parses how many times as fast as recorded; 0 is as fast as possible.
func parsePace(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(text, "x")
	const slowest, fastest = 1e-3, 1e6
	if pace, err := strconv.ParseFloat(number, 64); ok && err == nil && pace >= slowest && pace <= fastest {
		return pace, nil
	}
	return 0, usageError{fmt.Sprintf("--pace: expected 1x, 10x or max, got %q", text)}
}

func (c *replayCommand) run(cmd *cobra.Command) error {
	if err := c.check(); err != nil {
		return err
	}
	cl, err := c.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	c.options.Ask = c.asking(cl, c.version)
	if c.against != 0 {
		c.options.Against = c.asking(cl, c.against)
	}
	if c.from.Path == "" {
		remove, err := c.export(cmd.Context(), cl)
		if err != nil {
			return err
		}
		defer remove()
	}
	doc := replayDocument{Model: c.from.Model, Version: c.version, Against: c.against}
	report, err := offline.Replay(cmd.Context(), func(yield func(*offline.Recorded) error) error {
		return c.from.Read(cmd.Context(), &doc.Read, yield)
	}, c.options)
	doc.ReplayReport = *report
	switch {
	case err != nil && doc.Requests == 0:
		return err
	case doc.Requests == 0 && doc.Read.Hidden > 0:
		return fmt.Errorf("none of the %d requests can be sent: inputs of them were redacted or hashed", doc.Read.Hidden)
	case doc.Requests == 0:
		return fmt.Errorf("there are no requests of model '%s' that the flags select%s", c.from.Model, damagedText(&doc.Read))
	}
	perr := c.out.print(cmd.OutOrStdout(), doc, func(b *strings.Builder) { printReplayReport(b, &doc) })
	switch {
	case err != nil || perr != nil:
		return errors.Join(err, perr)
	case doc.Errors == doc.Requests:
		return errors.New("no request was answered")
	case c.fail && (doc.Differs() || len(doc.Read.Damaged) > 0):
		return errors.New("answers differ or are missing, which --fail does not allow")
	}
	return nil
}

// export writes what the gateway has captured to a temporary file, which is read instead of --from: a
// replay can take much longer than an export may.
func (c *replayCommand) export(ctx context.Context, cl *client.Client) (remove func(), err error) {
	f, err := os.CreateTemp("", "sluice-replay-*.tar")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.Remove(f.Name()) }
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	of := api.CaptureRange{Since: c.from.Since, Until: c.from.Until, Version: c.from.Version}
	done, err := cl.ExportCapture(ctx, c.from.Model, api.CaptureRead{CaptureRange: of, Format: api.CaptureTar}, "replay", f)
	if err = errors.Join(err, f.Close()); err == nil && done.Skipped > 0 {
		err = fmt.Errorf("%d files of captured requests cannot be read by the gateway: %s", done.Skipped, oneLine(strings.Join(done.SkippedFiles, ", ")))
	}
	if err != nil {
		remove()
		return nil, err
	}
	c.from.Path = f.Name()
	return remove, nil
}

func damagedText(read *offline.RecordingCounts) string {
	if len(read.Damaged) == 0 {
		return ""
	}
	return "; " + strings.Join(read.Damaged, "; ")
}

// asking returns what sends requests to a version.
func (c *replayCommand) asking(cl *client.Client, version int64) func(context.Context, *offline.Recorded) (offline.Answer, error) {
	return func(ctx context.Context, r *offline.Recorded) (offline.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, c.conn.timeout)
		defer cancel()
		var result *client.ReplayResult
		var err error
		if r.Body != nil {
			result, err = cl.ReplayJSON(ctx, c.from.Model, version, r.Body)
		} else {
			req := client.InferRequest{Version: version, RequestID: r.ID}
			for _, t := range r.Inputs {
				req.Inputs = append(req.Inputs, client.RawTensor(t.Name, t.DType.String(), t.Shape, t.Data))
			}
			result, err = cl.Replay(ctx, c.from.Model, req)
		}
		if err != nil {
			return offline.Answer{}, replayError(err)
		}
		answer := offline.Answer{Took: result.Took}
		for _, t := range result.Outputs {
			d, _ := infer.ParseDType(t.Datatype) // the client has checked it
			answer.Outputs = append(answer.Outputs, infer.Tensor{Name: t.Name, DType: d, Shape: t.Shape, Data: t.Data})
		}
		return answer, nil
	}
}

// replayError ends a replay if every request would have the same error.
func replayError(err error) error {
	answer, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok && errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer within --timeout")
	case !ok:
		return offline.StopReplay(err)
	}
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict:
		return offline.StopReplay(err)
	default:
		return errors.New(answer.Message) // without the id of the request, so that equal ones are counted together
	}
}
