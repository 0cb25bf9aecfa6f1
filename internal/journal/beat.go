package journal

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Beat keeps on disk that the process is alive, so that the start after a kill knows
// until when it was. It is no event: only the last beat is kept. Unavailable means
// that it could not be written.
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

// LastBeat returns the time of the last Beat, of this process or of one before it;
// the zero time if there never was one.
func (l *Log) LastBeat() time.Time {
	if at := l.alive.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// beatValue returns a beat as it is stored.
func beatValue(at time.Time) []byte {
	return seal(binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))) //nolint:gosec // the bits are read back as they were
}

// beatOf reads a stored beat.
func beatOf(stored []byte) (time.Time, error) {
	value, err := unseal(stored)
	if err == nil && len(value) != 8 {
		err = fmt.Errorf("it has %d bytes, expected 8", len(value))
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("the last sign of life: %w", err)
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(value))).UTC(), nil //nolint:gosec // as beatValue wrote it
}
