package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// pushFlags are the flags of models push.
type pushFlags struct {
	author
	version         int64
	lineage         api.Lineage
	metrics, tags   []string
	card, from      string
	golden, profile string
	conn            *connection
	out             *output
}

func newModelsPush(conn *connection, out *output) *cobra.Command {
	p := &pushFlags{conn: conn, out: out}
	cmd := &cobra.Command{
		Use:   "push MODEL FILE|FOLDER",
		Short: "Push a version of a model into the repository",
		Long: `Push a version of a model into the repository of a running gateway. FILE is an ONNX file;
its external data is pushed with it. FOLDER has one ONNX file, and may have labels.txt,
profile.json and golden.json.

A pushed version does not change. It does not serve because it is the newest: name it in a
route or an alias. Pushing the same files under the same number again changes nothing.`,
		Example: `  gateway models push iris model.onnx --data-snapshot s3://data/2026-11 --metric accuracy=0.97
  gateway routes set iris --canary 3=5%`,
		Args: func(cmd *cobra.Command, args []string) error {
			if want := 2; len(args) != want && (len(args) != 1 || p.from == "") {
				return usageError{"expected a model and a file or folder: " + cmd.CommandPath() + " iris model.onnx"}
			}
			return nil
		},
		RunE: p.run,
	}
	p.describing(cmd)
	f := cmd.Flags()
	f.StringVar(&p.golden, "golden", "", "golden rows: a JSON file of requests with their answers, which each load repeats")
	f.StringVar(&p.profile, "profile", "", "the profile of the training data, as gateway profile makes it")
	f.StringVar(&p.from, "from", "", "a path of the gateway's machine, or a reference as of gateway models import, instead of a file that is sent")
	return cmd
}

// describing adds the flags that say something of a version.
func (p *pushFlags) describing(cmd *cobra.Command) {
	p.flags(cmd)
	f := cmd.Flags()
	f.Int64Var(&p.version, "version", 0, "the number of the version (default: the next one)")
	f.Int64Var(&p.lineage.Parent, "parent", 0, "the version that this one was made from")
	f.StringVar(&p.lineage.DataSnapshot, "data-snapshot", "", "the training data")
	f.StringVar(&p.lineage.CodeRevision, "code-revision", "", "the revision of the training code")
	f.StringVar(&p.lineage.Run, "run", "", "the training run")
	f.StringVar(&p.lineage.Retrain, "retrain", "", "the id of the retraining that the version was trained for")
	f.StringArrayVar(&p.metrics, "metric", nil, "a result of the training, NAME=NUMBER (repeatable)")
	f.StringArrayVar(&p.tags, "tag", nil, "a tag, NAME=TEXT (repeatable)")
	f.StringVar(&p.card, "card", "", "the model card: a YAML or JSON file of fields")
}

func (p *pushFlags) run(cmd *cobra.Command, args []string) error {
	if err := p.out.check(); err != nil {
		return err
	}
	if p.version < 0 || p.lineage.Parent < 0 {
		return usageError{"--version and --parent: expected a number of 1 or more"}
	}
	m, err := p.metadata()
	if err != nil {
		return err
	}
	cl, ctx, done, err := p.conn.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	o := client.PushOptions{Version: p.version, From: p.from, Reason: strings.TrimSpace(p.reason)}
	var info api.VersionInfo
	if p.from != "" {
		o.Metadata = m
		info, err = cl.PushVersion(ctx, args[0], nil, o)
	} else {
		info, err = p.send(ctx, cmd, cl, args[0], args[1], m, o)
	}
	if err != nil {
		return err
	}
	return p.out.print(cmd.OutOrStdout(), info, func(b *strings.Builder) {
		fmt.Fprintf(b, "%s version %d is registered: %s\n", info.Model, info.Version, info.Record.Digest)
		if info.State == api.StateRegistered && len(info.NamedBy) == 0 {
			fmt.Fprintf(b, "it does not serve yet: gateway routes set %s --stable %d, or --canary %d=5%%\n", info.Model, info.Version, info.Version)
		}
	})
}

// send pushes files of this machine.
func (p *pushFlags) send(ctx context.Context, cmd *cobra.Command, cl *client.Client, model, path string, m api.VersionMetadata, o client.PushOptions) (api.VersionInfo, error) {
	bundle, err := offline.NewBundle(path, offline.BundleExtra{Golden: p.golden, Profile: p.profile}, m)
	if err != nil {
		return api.VersionInfo{}, err
	}
	defer bundle.Close() //nolint:errcheck // only read
	for _, name := range bundle.Left {
		cmd.PrintErrln("not pushed: " + oneLine(name))
	}
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() { // ends with the request, which closes r
		_ = w.CloseWithError(bundle.Write(ctx, w))
		close(written)
	}()
	info, err := cl.PushVersion(ctx, model, r, o)
	_ = r.CloseWithError(io.ErrClosedPipe)
	<-written
	return info, err
}

// metadata reads the flags and the card.
func (p *pushFlags) metadata() (m api.VersionMetadata, err error) {
	m.Lineage = p.lineage
	for _, text := range p.metrics {
		name, value, err := pair("--metric", text)
		if err != nil {
			return m, err
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return m, usageError{"--metric " + text + ": expected NAME=NUMBER"}
		}
		if m.Lineage.Metrics == nil {
			m.Lineage.Metrics = map[string]float64{}
		}
		m.Lineage.Metrics[name] = number
	}
	for _, text := range p.tags {
		name, value, err := pair("--tag", text)
		if err != nil {
			return m, err
		}
		if m.Tags == nil {
			m.Tags = map[string]string{}
		}
		m.Tags[name] = value
	}
	if p.card == "" {
		return m, nil
	}
	m.Card, err = readCard(p.card)
	return m, err
}

func pair(flag, text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return "", "", usageError{flag + " " + text + ": expected NAME=VALUE"}
	}
	return name, value, nil
}

// readCard reads a model card. JSON is YAML.
func readCard(file string) (card map[string]any, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &card); err != nil || len(card) == 0 {
		return nil, infer.Errorf(infer.Invalid, "%s: expected a mapping of fields, as YAML or JSON", file)
	}
	return card, nil
}
