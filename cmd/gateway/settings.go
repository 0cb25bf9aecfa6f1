package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

// settings are a configuration file and the flags that win over it.
type settings struct {
	file       string
	repository string // instead of the file's and the flag's, unless empty
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
		{"http-address", "server.http.address", "where the data plane listens, host:port"},
		{"admin-address", "admin.address", "where metrics, health and the control API listen, host:port"},
		{"model-repository", "repository.path", "the folder of models: DIR/MODEL/VERSION/model.onnx"},
		{"model-control", "repository.control", "what loads models: none, explicit or poll"},
		{"data-dir", "data_dir", "the folder of the journal; without one it is kept in memory and lost at the end"},
		{"shutdown-delay", "server.shutdown_delay", "how long a stop goes on serving once readiness is off"},
		{"drain-timeout", "server.drain_timeout", "how long a stop may take as a whole"},
		{"compat", "server.compat", "whose answers to imitate where they differ from ours: none or triton"},
		{"log-level", "log.level", "the least level that is logged: debug, info, warn or error"},
	}
	f := cmd.Flags()
	f.StringVarP(&s.file, "config", "c", "", "configuration file")
	for _, v := range s.values {
		f.String(v.flag, "", v.usage)
	}
	f.StringArrayVar(&s.load, "load-model", nil, "with explicit control, a model to load at the start; * for all (repeatable)")
}

// read returns the configuration. It can be read again; the flags stay.
func (s *settings) read() (*config.Config, error) {
	cfg, _, err := s.readWithPlaces()
	return cfg, err
}

// readWithPlaces is read that returns as well where each setting was given.
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
		Short: "Report every problem of a configuration file",
		Long: `Report every problem of a configuration file, each with its line and path, and what
the files that it is about lack: profiles, and the models and versions that settings
and routes name. A repository that is not there is not looked at. Flags win over the
file as they do for serve.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.file == "" {
				return usageError{"name the file to check: gateway check -c FILE"}
			}
			cfg, places, err := s.readWithPlaces()
			if err != nil {
				return err
			}
			problems, lookedAt, err := offline.CheckFiles(cfg, places)
			switch {
			case err != nil:
				return err
			case len(problems) > 0:
				return problems
			case !lookedAt:
				cmd.PrintErrf("note: there is no folder %s here, so models and versions were not looked at\n", cfg.Repository.Path)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", s.file)
			return err
		},
	}
	s.flags(cmd)
	return cmd
}
