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

// profileCommand is one call of gateway profile.
type profileCommand struct {
	file       string // "-": standard input
	out        string // "": standard output
	repository string
	model      string // MODEL or MODEL/VERSION
	modelFile  string
	mapping    map[string]string
	outputs    bool // computed by the model if the file lacks them
	options    offline.ProfileOptions
}

func newProfile() *cobra.Command {
	var c profileCommand
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Make, show and compare profiles of the data that models were trained on",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"say what to do with a profile: build, show or compare"}
			}
			cmd.PrintErrln("gateway: gateway profile DATA.csv is now called gateway profile build DATA.csv")
			c.file = args[0]
			return c.run(cmd)
		},
	}
	c.flags(cmd)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = true })
	cmd.AddCommand(newProfileBuild(), newProfileShow(), newProfileCompare())
	return cmd
}

func newProfileBuild() *cobra.Command {
	var c profileCommand
	cmd := &cobra.Command{
		Use:   "build DATA.csv [-o FILE]",
		Short: "Make a profile of the data that a model was trained on",
		Long: `Make a profile of the data that a model was trained on, with which a gateway
compares what the model is asked and what it answers.

The file is read once, in bounded memory; - is standard input. With a model its
columns are matched to the elements of the model's tensors: by --map, by --outputs, or
by names ("input[3]", or a tensor's name if it has one element). If no column is an
input by its name, those that are left are the inputs' elements in the file's order, if
there are as many, with a warning. Outputs are never taken by order: those that
the file does not have are computed, by running each row through the model, with NaN
for a missing float; if an integer is missing, so are the outputs of that row. The target
(--target) and other columns that the model does not know are left out. What became of each
column is printed. Without a model each column is a tensor with one element.`,
		Example: `  gateway profile build train.csv --model-repository models --model iris --target species -o models/iris/3/profile.json
  gateway profile build train.csv --columns age,income,score --outputs score -o loans.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"name one file: " + cmd.CommandPath() + " DATA.csv"}
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
	f.StringVar(&c.model, "model", "", "the model whose tensors the columns are: MODEL, whose newest version is looked at, or MODEL/VERSION for that version alone")
	f.StringVar(&c.modelFile, "model-file", "", "a model file instead of one in a repository")
	f.BoolVar(&c.outputs, "outputs-from-model", true, "run the rows through the model for outputs that the file does not have; =false leaves these out")
	f.StringToStringVar(&c.mapping, "map", nil, "the place of a column in the model, COLUMN=TENSOR[ELEMENT] (repeatable)")
	f.StringSliceVar(&c.options.Columns, "columns", nil, "the columns to read (default: all that hold numbers)")
	f.StringSliceVar(&c.options.Outputs, "outputs", nil, "the columns that are outputs of the model: COLUMN, or COLUMN=TENSOR[ELEMENT] if it has several")
	f.StringSliceVar(&c.options.Targets, "target", nil, "columns to leave out: what the model was trained to answer (repeatable)")
	tableFlags(f, &c.options.TableOptions)
	f.Uint64Var(&c.options.Seed, "seed", 1, "of the choice of rows; the same file and seed give the same bins")
}

// tableFlags adds the flags that say how a table is read.
func tableFlags(f *pflag.FlagSet, o *offline.TableOptions) {
	f.StringVar(&o.Header, "header", "auto", "whether the first row holds names: yes, no or auto")
	f.StringSliceVar(&o.Missing, "missing", nil, "texts that stand for a missing value, besides the usual ones")
	f.BoolVar(&o.TextIsMissing, "text-is-missing", false, "take any text in a column of numbers as a missing value")
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
		return usageError{"--model and --model-repository go together"}
	case inRepository && c.modelFile != "":
		return usageError{"give --model or --model-file, not both"}
	case len(c.mapping) > 0 && !named:
		return usageError{"--map needs a model"}
	case c.options.NeedOutputs && !named:
		return usageError{"--outputs-from-model needs a model"}
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
		cmd.PrintErrf("gateway: the outputs are those of version %d; other versions are compared by their inputs alone\n", p.OutputsOf)
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

// checkOut refuses what cannot or must not be written to, before the time that a
// large file takes.
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
		return usageError{"-o " + c.out + " is a folder; name a file"}
	}
	if c.file == "-" {
		return nil
	}
	if from, err := os.Stat(c.file); err == nil && os.SameFile(from, to) {
		return usageError{"-o " + c.out + " is the file that is read; the profile would take its place"}
	}
	return nil
}

// profile makes the profile, with the help of the model where one is named.
func (c *profileCommand) profile(ctx context.Context, t *tableFile) (p *offline.Profile, err error) {
	o := c.options
	o.Mapping, o.Created = c.mapping, time.Now().Truncate(time.Second)
	if c.file != "-" {
		o.Source = filepath.Base(c.file)
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

// evaluator loads the model, nil if none is named.
func (c *profileCommand) evaluator(o *offline.ProfileOptions) (*offline.Evaluator, error) {
	cfg, log := config.Default(), zap.NewNop()
	switch {
	case c.modelFile != "":
		return offline.FileEvaluator(cfg, c.modelFile, log)
	case c.model == "":
		return nil, nil //nolint:nilnil // no model is no error
	}
	name, number, given := strings.Cut(c.model, "/")
	v := infer.Version{Model: name}
	if given {
		if v.Number, given = infer.ParseVersion(number); !given {
			return nil, usageError{fmt.Sprintf("--model %s: '%s' is no version; expected a number of 1 or more", c.model, number)}
		}
		o.Version = v.Number
	}
	cfg.Repository.Path = c.repository
	return offline.RepositoryEvaluator(cfg, v, log)
}

// tableFile is a file of rows that is read.
type tableFile struct {
	in  io.ReadCloser
	bar *progress
}

// openTable opens a file, "-" for standard input, and has the command say what it
// is told of it.
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

// writeWhole writes a file so that nobody ever sees a half of it. A pipe or a
// device is written to, not replaced.
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

// progress is a line on a terminal that says how far a file was read.
type progress struct {
	w             io.Writer
	size          int64 // 0: not known
	started, last time.Time
	every         time.Duration
	width         int // of what stands there
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
	_, _ = fmt.Fprintf(p.w, "\r%-*s", p.width, text) // a line that is not seen harms nobody
	p.width = len(text)
}

func (p *progress) clear() {
	if p.width > 0 {
		_, _ = fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
	}
}

// readProfile reads a profile's file.
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
