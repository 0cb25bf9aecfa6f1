package journal_test

import (
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

func TestAppended(t *testing.T) {
	l := journal.Memory()
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	first := l.Appended()
	if closed(first) {
		t.Error("nothing was appended")
	}
	if _, err := l.Append(7, api.Event{Type: "route.set"}); err == nil || closed(first) {
		t.Errorf("a refused event: %v", err)
	}
	if _, err := l.Append(journal.Any, api.Event{Type: "route.set"}); err != nil || !closed(first) || closed(l.Appended()) {
		t.Errorf("after an event: %v", err)
	}
}
