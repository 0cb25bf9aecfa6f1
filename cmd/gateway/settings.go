package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

// settings are a configuration file and the flags that override it.
type settings struct {
	file       string
	repository string // overrides the file and the flag, unless it is empty
	values     []settingFlag
	load       []string
	cmd        *cobra.Command
	terminal   func(stream any) bool // of serve
}

// settingFlag is a flag that sets one setting.
type settingFlag struct{ flag, path, usage string }

func (s *settings) flags(cmd *cobra.Command) {
	s.cmd = cmd
	s.values = []settingFlag{
		{"http-address", "server.http.address", "the address of the data plane's HTTP, host:port"},
		{"grpc-address", "server.grpc.address", "the address of the data plane's gRPC, host:port; none: no gRPC"},
		{"admin-address", "admin.address", "the address of metrics, health and the control API, host:port"},
		{"model-repository", "repository.path", "the folder of models: DIR/MODEL/VERSION/model.onnx"},
		{"model-control", "repository.control", "how models are loaded: none, explicit or poll"},
		{"data-dir", "data_dir", "the folder of the journal; without it the journal is in memory and is lost when the gateway stops"},
		{"shutdown-delay", "server.shutdown_delay", "how long a stopping gateway continues to serve after readiness is off"},
		{"drain-timeout", "server.drain_timeout", "the max time of a stop"},
		{"compat", "server.compat", "the server to imitate if its answers differ from ours: none or triton"},
		{"log-level", "log.level", "the lowest level that is logged: debug, info, warn or error"},
	}
	f := cmd.Flags()
	f.StringVarP(&s.file, "config", "c", "", "the configuration file")
	for _, v := range s.values {
		f.String(v.flag, "", v.usage)
	}
	f.StringArrayVar(&s.load, "load-model", nil, "with explicit model control, a model to load at the start; * for all (repeatable)")
}

// read returns the configuration. Each call reads the file again, with the same flags.
func (s *settings) read() (*config.Config, error) {
	cfg, _, err := s.readWithPlaces()
	return cfg, err
}

// readWithPlaces is read that also returns the place of each setting.
func (s *settings) readWithPlaces() (*config.Config, *config.Places, error) {
	f := s.cmd.Flags()
	var overrides []config.Override
	for _, v := range s.values {
		if f.Changed(v.flag) {
			overrides = append(overrides, config.Set("--"+v.flag, v.path, f.Lookup(v.flag).Value.String()))
		}
	}
	if s.repository != "" {
		overrides = append(overrides, config.Set("MODEL", "repository.path", s.repository))
	}
	if f.Changed("load-model") {
		overrides = append(overrides, config.SetList("--load-model", "repository.load", s.load))
	}
	return config.LoadWithPlaces(s.file, overrides...)
}

func newCheck() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration file and report every problem",
		Long: `Check a configuration file and report every problem with its line and path. The
command also checks the files that the configuration names: profiles, certificates, keys of
issuers of tokens, and the models and versions in settings and routes. It warns of a certificate that expires
within 14 days. If the repository does not exist, models and versions are
not checked. Flags override the file, as for serve.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.file == "" {
				return usageError{"expected a file: gateway check -c FILE"}
			}
			cfg, places, err := s.readWithPlaces()
			if err != nil {
				return err
			}
			problems, lookedAt, err := offline.CheckFiles(cfg, places)
			broken, soon := offline.CheckCertificates(cfg, places, time.Now())
			problems = append(append(problems, broken...), offline.CheckIssuers(cfg, places)...)
			problems.Sort()
			for _, w := range soon {
				cmd.PrintErrf("warning: %s\n", w)
			}
			switch {
			case err != nil:
				return err
			case len(problems) > 0:
				return problems
			case !lookedAt:
				cmd.PrintErrf("note: there is no folder %s here, so models and versions were not checked\n", cfg.Repository.Path)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", s.file)
			return err
		},
	}
	s.flags(cmd)
	return cmd
}
