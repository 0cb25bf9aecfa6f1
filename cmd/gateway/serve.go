package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

func newServe(isTerminal func(stream any) bool) *cobra.Command {
	s := settings{terminal: isTerminal}
	cmd := &cobra.Command{
		Use:   "serve (MODEL | --model-repository DIR | -c FILE)",
		Short: "Serve a model, or a folder of models",
		Long: `Serve a model, or a folder of models. Without a configuration file, every model in
the folder is served with settings that are derived from the model. Flags override the file.

MODEL is a model file, or the folder of a model. It is served alone, in its state at the
start, under the name of the file or of the folder.

SIGHUP makes the gateway read the configuration again. SIGINT and SIGTERM stop it after it
has answered every accepted request. A second signal ends the process immediately.`,
		Example: `  gateway serve model.onnx
  gateway serve --model-repository models --data-dir .data
  gateway serve -c sluice.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{"expected one model; to serve several, use --model-repository DIR"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			repository := cmd.Flags().Changed("model-repository")
			switch {
			case len(args) == 1 && repository:
				return usageError{"give MODEL or --model-repository, not both"}
			case len(args) == 1:
				return serveSingle(cmd, &s, args[0])
			case s.file == "" && !repository:
				return usageError{"expected something to serve: a model file, --model-repository DIR, or -c FILE"}
			}
			return serve(cmd, &s)
		},
	}
	s.flags(cmd)
	return cmd
}

// serveSingle serves one model from a repository that is made for it.
func serveSingle(cmd *cobra.Command, s *settings, path string) error {
	single, err := offline.StageModel(path)
	if err != nil {
		return err
	}
	s.repository = single.Repository
	return errors.Join(serve(cmd, s), single.Close())
}

// serve runs a gateway until the command's context ends.
func serve(cmd *cobra.Command, s *settings) error {
	cfg, err := s.read()
	if err != nil {
		return err
	}
	log, levels := newLogger(cfg.Log, cmd.ErrOrStderr())
	version, revision := build()
	hello := welcome{out: cmd.OutOrStdout(), program: os.Args[0], config: cfg, ready: make(chan struct{})}
	a, err := app.New(app.Options{
		Config: cfg, Reload: s.read, Logger: log, LogLevels: levels, Build: app.Build{Version: version, Revision: revision},
		Listening: func(at app.Addresses) { hello.at = at },
		Ready:     func() { close(hello.ready) },
	})
	if err != nil {
		return err
	}
	// If the size of files is limited (ulimit -f), a full journal must be an error, not a signal
	// that ends the process.
	signal.Ignore(syscall.SIGXFSZ)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	beside, cancel := context.WithCancel(cmd.Context())
	var wg sync.WaitGroup
	if s.terminal(cmd.OutOrStdout()) { // a log collector does not need the welcome
		wg.Go(func() { hello.run(beside) })
	}
	wg.Go(func() { reloadOn(beside, hangup, a, log) })
	err = a.Run(cmd.Context())
	cancel()
	wg.Wait()
	return err
}

// reloadOn reloads on every signal, until ctx ends.
func reloadOn(ctx context.Context, hangup <-chan os.Signal, a *app.App, log *zap.Logger) {
	for {
		select {
		case <-hangup:
			if _, err := a.Reload(ctx, api.Actor{Actor: "SIGHUP", Verified: true}); err != nil {
				log.Error("reload", zap.Error(err))
			}
		case <-ctx.Done():
			return
		}
	}
}

// newLogger returns the log of the program, and its levels.
func newLogger(cfg config.Log, w io.Writer) (*zap.Logger, *app.LogLevels) {
	levels := new(app.LogLevels)
	levels.From(cfg.Level)
	form := zap.NewProductionEncoderConfig()
	form.TimeKey, form.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
	form.EncodeDuration = zapcore.SecondsDurationEncoder // the key names the unit
	encoder := zapcore.NewJSONEncoder(form)
	if cfg.Format == "console" {
		form.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(form)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), levels)), levels
}
