package main

import (
	"context"
	"fmt"
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
)

func newServe() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "serve (--model-repository DIR | -c FILE)",
		Short: "Serve a folder of models",
		Long: `Serve a folder of models. Without a configuration file every model in it is
served with settings derived from the model itself. Flags win over the file.

SIGHUP reads the file again. SIGINT and SIGTERM stop once everything accepted is
answered; a second one ends the process at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.file == "" && !cmd.Flags().Changed("model-repository") {
				return usageError{"name what to serve: --model-repository DIR, or -c FILE"}
			}
			return serve(cmd, &s)
		},
	}
	s.flags(cmd)
	return cmd
}

// serve runs a gateway until the command's context ends.
func serve(cmd *cobra.Command, s *settings) error {
	cfg, err := s.read()
	if err != nil {
		return err
	}
	log, err := newLogger(cfg.Log, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	version, revision := build()
	hello := welcome{out: cmd.OutOrStdout(), program: os.Args[0], tokens: cfg.Admin.Tokens, ready: make(chan struct{})}
	a, err := app.New(app.Options{
		Config: cfg, Reload: s.read, Logger: log, Build: app.Build{Version: version, Revision: revision},
		Listening: func(at app.Addresses) { hello.at = at },
		Ready:     func() { close(hello.ready) },
	})
	if err != nil {
		return err
	}
	// Where the size of files is limited (ulimit -f) a journal that is full is an
	// error like any other, not the end of the process.
	signal.Ignore(syscall.SIGXFSZ)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	beside, cancel := context.WithCancel(cmd.Context())
	var wg sync.WaitGroup
	wg.Go(func() { hello.run(beside) })
	wg.Go(func() { reloadOn(beside, hangup, a, log) })
	err = a.Run(cmd.Context())
	cancel()
	wg.Wait()
	return err
}

// reloadOn reloads whenever a signal comes, until ctx ends.
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

// newLogger returns the program's log.
func newLogger(cfg config.Log, w io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	form := zap.NewProductionEncoderConfig()
	form.TimeKey, form.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
	form.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(form)
	if cfg.Format == "console" {
		form.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(form)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}
