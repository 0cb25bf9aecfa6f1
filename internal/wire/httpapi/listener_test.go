package httpapi

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// scripted is a listener whose Accept returns the next entry of a list.
type scripted struct {
	net.Listener
	next []error
}

func (l *scripted) Accept() (net.Conn, error) {
	if len(l.next) == 0 {
		c, _ := net.Pipe()
		return c, nil
	}
	err := l.next[0]
	l.next = l.next[1:]
	return nil, err
}

func (l *scripted) Close() error { return nil }

func TestAcceptOutlastsWantOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		emfile := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		l := newListener(&scripted{next: []error{emfile, emfile, syscall.ENFILE}}, 1, newTimeouts(&Limits{}), newFront(t, &fixed{}, 1), zap.New(core))
		begin := time.Now()
		c, err := l.Accept()
		if err != nil || time.Since(begin) != 3*acceptPause {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if logs.Len() != 1 {
			t.Errorf("%d warnings, want one a minute", logs.Len())
		}
		_ = c.Close()
	})
}

// halting is a connection on a machine that pauses after a deadline was set.
type halting struct{ net.Conn }

func (h halting) SetWriteDeadline(at time.Time) error {
	err := h.Conn.SetWriteDeadline(at)
	time.Sleep(200 * time.Millisecond)
	return err
}

func TestRefusalIsToldOnABusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, caller := net.Pipe()
		l := newListener(nil, 0, newTimeouts(&Limits{}), newFront(t, &fixed{}, 1), zap.NewNop())
		told := make(chan string, 1)
		go func() {
			text, _ := io.ReadAll(caller)
			told <- string(text)
		}()
		if c := l.add(halting{server}); c != nil {
			t.Error("not refused")
		}
		if got := <-told; !strings.HasPrefix(got, "HTTP/1.1 503 ") {
			t.Errorf("got %q", got)
		}
		l.open.Wait()
	})
}

func TestAcceptReturnsOtherErrors(t *testing.T) {
	l := newListener(&scripted{next: []error{net.ErrClosed}}, 1, newTimeouts(&Limits{}), newFront(t, &fixed{}, 1), zap.NewNop())
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
