package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// digest is a SHA-256, in hexadecimal in JSON.
type digest [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("the hash has %d digits, expected %d", len(text), hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// seal returns the stored form of a value that is not an event: the value and its hash.
func seal(value []byte) []byte {
	sum := sha256.Sum256(value)
	return append(bytes.Clone(value), sum[:]...)
}

// unseal checks the hash and returns the value. It shares the memory of stored.
func unseal(stored []byte) ([]byte, error) {
	n := len(stored) - sha256.Size
	if n < 0 {
		return nil, errors.New("it is truncated")
	}
	if sum := sha256.Sum256(stored[:n]); !bytes.Equal(sum[:], stored[n:]) {
		return nil, errors.New("it was changed after it was written: its hash differs")
	}
	return stored[:n], nil
}
