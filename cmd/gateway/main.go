// Command gateway serves ONNX models and talks to gateways that do.
//
// There is a file for each group of commands, and most of their lines are tables and texts for
// people. What a command does is in app, offline and client.
package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/config"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line makes no sense
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, terminal))
}

// run executes a command line and returns the exit code. isTerminal reports whether
// somebody sits at the other end of a stream.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, isTerminal func(stream any) bool) int {
	root := newRoot(isTerminal) //nolint:contextcheck // its commands get ctx from ExecuteContext
	started := false            // the command line made sense
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	root.PrintErrln(errorText(err))
	if _, ok := errors.AsType[usageError](err); ok || !started {
		return exitUsage
	}
	return exitFailed
}

// usageError is a command line that makes no sense in a way that only the
// command itself can tell.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// errorText returns an error on one line, and the problems of a configuration on
// one line each, in the form that editors jump to.
func errorText(err error) string {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return problems.Error()
	}
	text := "gateway: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status == http.StatusUnauthorized {
		text += "; the token is read from $SLUICE_TOKEN"
	}
	return text
}
