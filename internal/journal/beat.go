package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
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

// beatValue returns a beat as it is stored: the time, and a hash that tells whether
// it still is what was written.
func beatValue(at time.Time) []byte {
	value := binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano())) //nolint:gosec // the bits are read back as they were
	sum := sha256.Sum256(value)
	return append(value, sum[:]...)
}

// beatOf reads a stored beat.
func beatOf(value []byte) (time.Time, error) {
	if len(value) < 8 {
		return time.Time{}, errors.New("the last sign of life is cut")
	}
	at := time.Unix(0, int64(binary.BigEndian.Uint64(value))).UTC() //nolint:gosec // as beatValue wrote it
	if !bytes.Equal(value, beatValue(at)) {
		return time.Time{}, errors.New("the last sign of life is not what was written")
	}
	return at, nil
}
