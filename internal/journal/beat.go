package journal

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Beat writes the time of a heartbeat to disk, so that the start after a kill knows until
// when the process ran. A heartbeat is not an event: the journal keeps only the last one.
// The error is Unavailable if it cannot be written.
func (l *Log) Beat(now time.Time) error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.closed.Load() {
		return readError(errClosed)
	}
	now = now.UTC()
	if err := l.store.beat(beatValue(now)); err != nil {
		return writeError(err)
	}
	l.alive.Store(&now)
	return nil
}

// LastBeat returns the time of the last Beat of this process or of one before it, or the
// zero time if there was none.
func (l *Log) LastBeat() time.Time {
	if at := l.alive.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// beatValue returns the stored form of a heartbeat.
func beatValue(at time.Time) []byte {
	return seal(binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))) //nolint:gosec // beatOf reads the same bits
}

// beatOf reads a stored heartbeat.
func beatOf(stored []byte) (time.Time, error) {
	value, err := unseal(stored)
	if err == nil && len(value) != 8 {
		err = fmt.Errorf("it has %d bytes, expected 8", len(value))
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("the last heartbeat: %w", err)
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(value))).UTC(), nil //nolint:gosec // beatValue wrote an int64
}
