package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// digest is a SHA-256 as JSON has it, in hexadecimal.
type digest [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("a hash of %d digits, expected %d", len(text), hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// seal returns a value that is not an event as it is stored: with its hash behind it.
func seal(value []byte) []byte {
	sum := sha256.Sum256(value)
	return append(bytes.Clone(value), sum[:]...)
}

// unseal returns what was given to seal. It shares the memory of stored.
func unseal(stored []byte) ([]byte, error) {
	n := len(stored) - sha256.Size
	if n < 0 {
		return nil, errors.New("it is cut")
	}
	if sum := sha256.Sum256(stored[:n]); !bytes.Equal(sum[:], stored[n:]) {
		return nil, errors.New("it is not what was written: its hash differs")
	}
	return stored[:n], nil
}
