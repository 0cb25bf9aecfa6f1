package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// profileCommand is a call of gateway profile build.
type profileCommand struct {
	file       string // "-": standard input
	out        string // "": standard output
	repository string
	model      string // MODEL or MODEL/VERSION
	modelFile  string
	mapping    map[string]string
	binsOf     string
	outputs    bool // computed by the model if the file lacks them
	options    offline.ProfileOptions
}

func newProfile() *cobra.Command {
	var c profileCommand
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Make, show, compare, merge and subtract profiles of training data",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"expected a command: build, show, compare, merge or subtract"}
			}
			cmd.PrintErrln("gateway: gateway profile DATA.csv is the old form; use gateway profile build DATA.csv")
			c.file = args[0]
			return c.run(cmd)
		},
	}
	c.flags(cmd)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = true })
	cmd.AddCommand(newProfileBuild(), newProfileShow(), newProfileCompare(), newProfileMerge(), newProfileSubtract())
	return cmd
}

func newProfileBuild() *cobra.Command {
	var c profileCommand
	cmd := &cobra.Command{
		Use:   "build DATA [-o FILE]",
		Short: "Make a profile of a model's training data",
		Long: `Make a profile of a model's training data. A gateway compares requests and answers
with it to detect drift.

The file is CSV or Parquet; a Parquet export of captured traffic is one too. The command
reads it once, in bounded memory; - is standard input, for CSV. It prints the use of each
column.

Without a model, each column is a tensor with one element. With a model, columns are matched
to the elements of the model's tensors: by --map, by --outputs, or by name ("input[3]", or a
tensor's name if it has one element). If no column matches an input by name, the remaining
columns are the inputs' elements in the order of the file, if there are as many, with a
warning.

Outputs are never matched by order. The command computes the outputs that the file does not
have: it runs each row through the model, with NaN for a missing float. If an integer is
missing, the outputs of that row are missing too. The target (--target) and other columns
that the model does not have are left out.

With --time-column, the profile also has the counts of each hour of the week. A gateway then compares
each window with the hours that it covers, so that a season is not drift and hides none. The
rows must cover two weeks; more are better, since each hour needs some hundred rows.

With --segment, the profile also has the counts of the values of one column, such as a country
or a plan: a model may be wrong for one of them while the whole looks well. A gateway then
compares the rows of each value with its own counts. The column is an input of the model, or
else a parameter that requests give. The values are written into the profile.

With --label, the profile also says how often each score of the model came true. From that
the gateway estimates how good later predictions are before their labels come. Use rows that
the model was not trained on: it knows its training data too well.`,
		Example: `  gateway profile build train.csv --model-repository models --model iris --target species -o models/iris/3/profile.json
  gateway profile build held-out.csv --model-repository models --model iris --label species -o models/iris/3/profile.json
  gateway profile build train.csv --columns age,income,score --outputs score -o loans.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"expected one file: " + cmd.CommandPath() + " DATA"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c.file = args[0]
			return c.run(cmd)
		},
	}
	c.flags(cmd)
	return cmd
}

func (c *profileCommand) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&c.out, "output", "o", "", "the file to write (default: standard output)")
	f.StringVar(&c.repository, "model-repository", "", "the folder of models, with --model")
	f.StringVar(&c.model, "model", "", "the model whose tensors the columns hold: MODEL, of which the newest version is read, or MODEL/VERSION to make a profile for only that version")
	f.StringVar(&c.modelFile, "model-file", "", "a model file instead of one in a repository")
	f.BoolVar(&c.outputs, "outputs-from-model", true, "compute outputs that the file does not have, by running the rows through the model; =false leaves them out")
	f.StringToStringVar(&c.mapping, "map", nil, "the tensor element of a column, COLUMN=TENSOR[ELEMENT] (repeatable)")
	f.StringSliceVar(&c.options.Columns, "columns", nil, "the columns to read (default: all)")
	f.StringSliceVar(&c.options.Outputs, "outputs", nil, "the columns that are outputs of the model: COLUMN, or COLUMN=TENSOR[ELEMENT] if the model has several")
	f.StringSliceVar(&c.options.Targets, "target", nil, "columns to leave out: the targets of the training (repeatable)")
	f.StringSliceVar(&c.options.Vectors, "vector", nil, "tensors to watch as a whole, such as an embedding or an image: all of their elements are one feature (repeatable)")
	f.StringVar(&c.options.Labels.Column, "label", "", "the column with the true class of each row, for estimates of performance before labels come; it is left out like a target")
	f.StringVar(&c.options.Labels.Task, "label-task", "", "labels.task of the model's configuration, if it is set")
	f.StringVar(&c.options.Labels.Output, "label-output", "", "labels.output of the model's configuration, if it is set")
	f.StringVar(&c.options.Labels.Positive, "label-positive", "", "labels.positive of the model's configuration, if it is set")
	f.BoolVar(&c.options.Labels.Logits, "label-logits", false, "the scores are logits, as with labels.scores: logits in the model's configuration")
	f.StringVar(&c.options.Time, "time-column", "", "the column with the time of each row, to count the rows by the hour of the week too; they must cover two weeks")
	f.StringVar(&c.options.Zone, "time-zone", "UTC", "the time zone of these hours, such as Europe/Berlin")
	f.IntVar(&c.options.TextBytes, "text-bytes", offline.DefaultTextBytes, "how many bytes of a text are looked at, here and in requests")
	f.BoolVar(&c.options.HideTexts, "hide-texts", false, "leave the texts of categories out of the profile, for personal data; it then has only their hashes")
	f.StringVar(&c.options.Segment.Column, "segment", "", "the column of the segment of each row, such as a country, to count rows by its values too; it is an input of the model, or else a parameter of requests")
	f.IntVar(&c.options.Segment.Most, "max-segments", offline.DefaultSegments, "the max number of values of the segment that have counts of their own, those with the most rows; all others are together")
	f.StringVar(&c.binsOf, "bins-of", "", "a profile whose bins are used, so that the two can be merged; all rows are counted, not a sample")
	tableFlags(f, &c.options.TableOptions)
	f.Uint64Var(&c.options.Seed, "seed", 1, "the seed for sampling rows; the same file and seed give the same bins")
}

// tableFlags adds the flags for reading a table.
func tableFlags(f *pflag.FlagSet, o *offline.TableOptions) {
	f.StringVar(&o.Header, "header", "auto", "whether the first row has the names of the columns: yes, no or auto")
	f.StringSliceVar(&o.Missing, "missing", nil, "more texts that stand for a missing value")
	f.BoolVar(&o.TextIsMissing, "text-is-missing", false, "treat any text in a column of numbers as a missing value")
}

func checkTable(o *offline.TableOptions) error {
	if h := o.Header; h != "auto" && h != "yes" && h != "no" {
		return usageError{fmt.Sprintf("--header %s: expected yes, no or auto", h)}
	}
	return nil
}

func (c *profileCommand) check(cmd *cobra.Command) error {
	inRepository := c.model != "" || c.repository != ""
	named := inRepository || c.modelFile != ""
	c.options.NeedOutputs = c.outputs && cmd.Flags().Changed("outputs-from-model")
	switch {
	case (c.model == "") != (c.repository == ""):
		return usageError{"--model and --model-repository must be given together"}
	case inRepository && c.modelFile != "":
		return usageError{"give --model or --model-file, not both"}
	case len(c.mapping) > 0 && !named:
		return usageError{"--map needs --model or --model-file"}
	case c.options.Labels.Column != "" && !named:
		return usageError{"--label needs --model or --model-file"}
	case c.options.Labels.Column == "" && c.options.Labels != (offline.LabelOptions{}):
		return usageError{"--label-task, --label-output, --label-positive and --label-logits need --label"}
	case c.options.Time == "" && cmd.Flags().Changed("time-zone"):
		return usageError{"--time-zone needs --time-column"}
	case c.options.TextBytes < 1 || c.options.TextBytes > offline.MaxTextBytes:
		return usageError{fmt.Sprintf("--text-bytes %d: expected 1 to %d", c.options.TextBytes, offline.MaxTextBytes)}
	case c.options.Segment.Most < 1 || c.options.Segment.Most > offline.MaxSegments:
		return usageError{fmt.Sprintf("--max-segments %d: expected 1 to %d", c.options.Segment.Most, offline.MaxSegments)}
	case c.options.Segment.Column == "" && cmd.Flags().Changed("max-segments"):
		return usageError{"--max-segments needs --segment"}
	case c.options.NeedOutputs && !named:
		return usageError{"--outputs-from-model needs --model or --model-file"}
	}
	return checkTable(&c.options.TableOptions)
}

func (c *profileCommand) run(cmd *cobra.Command) error {
	if err := c.check(cmd); err != nil {
		return err
	}
	if err := c.checkOut(); err != nil {
		return err
	}
	t, err := openTable(cmd, c.file, &c.options.TableOptions)
	if err != nil {
		return err
	}
	defer t.close()
	c.options.Mapped = func(uses []offline.ColumnUse) {
		t.bar.clear()
		printUses(cmd.ErrOrStderr(), uses)
	}
	p, err := c.profile(cmd.Context(), t)
	t.bar.clear()
	if err != nil {
		return err
	}
	if p.OutputsOf > 0 && p.Version == 0 {
		cmd.PrintErrf("gateway: the outputs are those of version %d; for other versions only the inputs are compared\n", p.OutputsOf)
	}
	if c.out == "" {
		return p.Write(cmd.OutOrStdout())
	}
	if err := writeWhole(c.out, p.Write); err != nil {
		return err
	}
	cmd.PrintErrf("%s: %d features of %d rows\n", c.out, len(p.Features), p.Rows)
	return nil
}

// checkOut returns an error if the output cannot or must not be written, before a large file is
// read.
func (c *profileCommand) checkOut() error {
	if c.out == "" {
		return nil
	}
	to, err := os.Stat(c.out)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(c.out))
		return err
	}
	if err != nil {
		return err
	}
	if to.IsDir() {
		return usageError{"-o " + c.out + " is a folder; expected a file"}
	}
	if c.file == "-" {
		return nil
	}
	if from, err := os.Stat(c.file); err == nil && os.SameFile(from, to) {
		return usageError{"-o " + c.out + " is also the input; the profile would overwrite it"}
	}
	return nil
}

// profile makes the profile, with the model if one is given.
func (c *profileCommand) profile(ctx context.Context, t *tableFile) (p *offline.Profile, err error) {
	o := c.options
	o.Mapping, o.Created = c.mapping, time.Now().Truncate(time.Second)
	if c.file != "-" {
		o.Source = filepath.Base(c.file)
	}
	if c.binsOf != "" {
		if o.Bins, err = readProfile(c.binsOf); err != nil {
			return nil, err
		}
	}
	e, err := c.evaluator(&o)
	if err != nil {
		return nil, err
	}
	if e != nil {
		defer func() { err = errors.Join(err, e.Close()) }()
		o.Model = e.Model()
		if c.outputs {
			o.Evaluator = e
		}
	}
	return offline.MakeProfile(ctx, t.in, o)
}

// evaluator loads the model, nil if none is given.
func (c *profileCommand) evaluator(o *offline.ProfileOptions) (*offline.Evaluator, error) {
	cfg, log := config.Default(), zap.NewNop()
	switch {
	case c.modelFile != "":
		return offline.FileEvaluator(cfg, c.modelFile, log)
	case c.model == "":
		return nil, nil //nolint:nilnil // no model is not an error
	}
	name, number, given := strings.Cut(c.model, "/")
	v := infer.Version{Model: name}
	if given {
		if v.Number, given = infer.ParseVersion(number); !given {
			return nil, usageError{fmt.Sprintf("--model %s: version '%s' is not a valid number: expected 1 or more", c.model, number)}
		}
		o.Version = v.Number
	}
	cfg.Repository.Path = c.repository
	return offline.RepositoryEvaluator(cfg, v, log)
}

// tableFile is an open file of rows.
type tableFile struct {
	in  io.ReadCloser
	bar *progress
}

// openTable opens a file, "-" for standard input, and sets o.Note and o.Progress so that notes and
// progress go to the command's standard error.
func openTable(cmd *cobra.Command, path string, o *offline.TableOptions) (*tableFile, error) {
	t := &tableFile{
		in:  io.NopCloser(cmd.InOrStdin()),
		bar: &progress{w: cmd.ErrOrStderr(), started: time.Now(), every: 200 * time.Millisecond},
	}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			t.bar.size = info.Size()
		}
		t.in = f
	}
	o.Note = func(text string) { cmd.PrintErrln("gateway: " + text) }
	if terminal(t.bar.w) {
		o.Progress = t.bar.show
	}
	return t, nil
}

func (t *tableFile) close() { _ = t.in.Close() } // only read

// writeWhole writes a file atomically: a reader sees the old or the new content. If path is a pipe
// or a device, it writes to it and does not replace it.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	const readable = 0o644
	for _, step := range []func() error{
		func() error { return write(f) },
		func() error { return f.Chmod(readable) },
		f.Sync,
		f.Close,
		func() error { return os.Rename(f.Name(), path) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// progress shows on a terminal how much of a file has been read.
type progress struct {
	w             io.Writer
	size          int64 // 0: not known
	started, last time.Time
	every         time.Duration
	width         int // of the text on the line
}

func (p *progress) show(read, rows int64) {
	now := time.Now()
	if now.Sub(p.last) < p.every {
		return
	}
	p.last = now
	const mega = 1e6
	text := fmt.Sprintf("%d rows, %.0f MB", rows, float64(read)/mega)
	if p.size > 0 {
		text = fmt.Sprintf("%.0f %%, %s of %.0f MB", min(100, 100*float64(read)/float64(p.size)), text, float64(p.size)/mega)
	}
	if s := now.Sub(p.started).Seconds(); s > 0 {
		text += fmt.Sprintf(", %.0f MB/s", float64(read)/mega/s)
	}
	_, _ = fmt.Fprintf(p.w, "\r%-*s", p.width, text) // failing to show progress does not matter
	p.width = len(text)
}

func (p *progress) clear() {
	if p.width > 0 {
		_, _ = fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
	}
}

// readProfile reads a profile from a file.
func readProfile(path string) (*offline.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	p, err := offline.ReadProfile(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
