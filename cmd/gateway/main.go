// Command gateway serves ONNX models, and controls running gateways.
//
// There is a file for each group of commands. Most of their lines are tables and texts for people.
// The work of a command is in app, offline and client.
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
	_ "time/tzdata" // the hours of a profile are in a time zone, also where the system knows none

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/config"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line is not valid
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process immediately
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, terminal))
}

// run executes a command line and returns the exit code. isTerminal reports whether a stream is a
// terminal.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, isTerminal func(stream any) bool) int {
	root := newRoot(isTerminal) //nolint:contextcheck // its commands get ctx from ExecuteContext
	started := false            // the command line was valid
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

// usageError is an error in the command line that only the command itself can detect.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// errorText returns an error on one line. The problems of a configuration are on a line each, in
// the form that editors can jump to.
func errorText(err error) string {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return problems.Error()
	}
	text := "gateway: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status == http.StatusUnauthorized {
		text += "; the command reads the token from $SLUICE_TOKEN"
	}
	return text
}
