package httpapi

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// scripted is a listener whose Accept returns what is next in the list.
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
		l := newListener(&scripted{next: []error{emfile, emfile, syscall.ENFILE}}, 1, newTimeouts(&Limits{}), newRequestIDs(), zap.New(core))
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

func TestAcceptReturnsOtherErrors(t *testing.T) {
	l := newListener(&scripted{next: []error{net.ErrClosed}}, 1, newTimeouts(&Limits{}), newRequestIDs(), zap.NewNop())
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
