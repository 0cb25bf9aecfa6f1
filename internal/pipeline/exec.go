package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// ExecSettings say which program trains.
type ExecSettings struct {
	Command   []string // the program and its arguments; no shell reads them
	Env       []string // variables of the gateway's environment that the program gets
	MaxOutput int      // bytes of its output that are kept
	Nice      int      // added to the niceness of its processes
	URL       string   // of the control API
}

// The variables that a program gets besides those that the settings name.
const (
	envID       = "SLUICE_RETRAIN_ID"
	envDocument = "SLUICE_REQUEST" // the path of the document
	envURL      = "SLUICE_URL"
	envWork     = "SLUICE_WORK"
)

const (
	// stopGrace is the time that a program has after SIGTERM.
	stopGrace = 5 * time.Second
	// pushGrace is the time that a program has after it has pushed a version.
	pushGrace = 30 * time.Second
)

// train runs the program of a retraining. A program that a stop or a crash has interrupted runs again after the next start.
func (p *Pipeline) train(ctx context.Context, r api.Retraining) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s := p.opts.Settings(r.Model)
	switch {
	case len(s.Exec.Command) == 0 || p.opts.Dir == "":
		return p.fail(r.ID, "no program is configured any more")
	case r.Attempts >= s.Attempts:
		return p.fail(r.ID, fmt.Sprintf("the program was interrupted %d times by ends of the gateway, the max of attempts", r.Attempts))
	}
	if err := p.hand(ctx, r, api.TrainerExec, r.Attempts+1); err != nil {
		return err
	}
	r, err := p.Get(r.ID)
	if err != nil || r.State != api.RetrainAccepted {
		return err // it was canceled
	}
	token, err := p.Token(r.ID)
	if err != nil {
		return ignoreConflict(err)
	}
	limited, cancel := context.WithDeadline(ctx, *r.Deadline)
	defer cancel()
	problem, err := p.run(limited, r, s, token)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil: // the gateway stops, or the retraining was canceled
		return ctx.Err()
	case limited.Err() != nil:
		problem = "the program did not end until its limit, and was killed: " + r.Deadline.Format(time.RFC3339)
	case problem == "":
		problem = "the program ended without an error, but pushed no version"
	}
	return p.fail(r.ID, problem) // ignored if a version was pushed
}

// run runs a program to its end, and returns what is wrong with that. An error means that it was not started, and can be later.
func (p *Pipeline) run(ctx context.Context, r api.Retraining, s Settings, token string) (problem string, err error) {
	dir := filepath.Join(p.opts.Dir, r.ID)
	work := filepath.Join(dir, workDir)
	document := filepath.Join(dir, documentFile)
	text, err := os.ReadFile(document) //nolint:gosec // our folder
	if err == nil {
		text, err = withToken(text, token)
	}
	if err = cmp.Or(err, os.RemoveAll(work)); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(work, "tmp"), folder); err != nil {
		return "", err
	}
	out, err := newTranscript(filepath.Join(dir, logFile), s.Exec.MaxOutput)
	if err != nil {
		return "", err
	}
	said := newRedactor(out)
	defer func() { err = cmp.Or(err, out.close()) }()
	p.logging(r.ID, out)
	defer p.logging(r.ID, nil)

	cmd := exec.CommandContext(ctx, s.Exec.Command[0], s.Exec.Command[1:]...) //nolint:gosec // the operator configures it
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = work, bytes.NewReader(text), said, said
	cmd.Env = []string{
		envID + "=" + r.ID, envDocument + "=" + document, envURL + "=" + s.Exec.URL, envWork + "=" + work, "HOME=" + work,
		"TMPDIR=" + filepath.Join(work, "tmp"),
	}
	for _, name := range s.Exec.Env {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.WaitDelay = stopGrace
	group(cmd)
	runtime.LockOSThread() // the kernel ends the program with the thread that has started it
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return "the program cannot be started: " + err.Error(), nil
	}
	defer killGroup(cmd.Process.Pid) // whatever it has started
	lower(cmd.Process.Pid, s.Exec.Nice)
	_, err = p.change(r.ID, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		return api.EventRetrainRunning, api.RetrainChange{Message: fmt.Sprintf("the program runs, attempt %d", r.Attempts)}, unlessWaiting(r)
	})
	if err != nil && infer.CodeOf(err) != infer.Conflict {
		p.log.Warn("the start of a program could not be written to the journal", zap.String("id", r.ID), zap.Error(err))
	}
	err = cmd.Wait()
	return outcome(err, out), said.flush()
}

// outcome describes how a program has failed, "" if it has not.
func outcome(err error, out *transcript) string {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) { // a child of it kept the output open
		return ""
	}
	why := "the program failed: " + err.Error()
	if line := out.lastLine(); line != "" {
		why += ": " + line
	}
	return why
}

// logging notes the output of a program that runs; nil if it has ended.
func (p *Pipeline) logging(id string, out *transcript) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.logs[id] = out; out == nil {
		delete(p.logs, id)
	}
}

// Log returns the output of the last program that has run for a retraining. It fails with NotFound.
func (p *Pipeline) Log(id string) ([]byte, error) {
	if _, err := p.Get(id); err != nil {
		return nil, err
	}
	p.mu.Lock()
	out := p.logs[id]
	p.mu.Unlock()
	if out != nil {
		return out.text()
	}
	text, err := os.ReadFile(filepath.Join(p.opts.Dir, id, logFile)) //nolint:gosec // the id is one of the journal
	if p.opts.Dir == "" || errors.Is(err, os.ErrNotExist) {
		return nil, infer.Errorf(infer.NotFound, "no program has run for retraining %s", id)
	}
	return text, err
}
