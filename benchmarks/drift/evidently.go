package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"

	"sluice.io/sluice/benchmarks/record"
)

// streamsHeader says what a file of streams holds. It is a file of its own, in JSON.
type streamsHeader struct {
	Streams       int      `json:"streams"`
	Features      int      `json:"features"`
	ReferenceRows int      `json:"reference_rows"`
	CleanRows     int      `json:"clean_rows"`
	ChangedRows   int      `json:"changed_rows"`
	Changes       []string `json:"changes"`
}

// evidently writes the streams to a file and has the Python program judge them. It
// answers with lines of the same form.
func (b *bench) evidently() error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := b.writeStreams(filepath.Join(dir, "streams")); err != nil {
		return err
	}
	cmd := exec.Command(b.python, b.script, filepath.Join(dir, "streams")) //nolint:gosec // the operator's own programs
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", b.script, err)
	}
	for line := range bytes.Lines(text) {
		var r record.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("%s: %w in %s", b.script, err, line)
		}
		b.rows = append(b.rows, r)
	}
	return nil
}

// writeStreams writes NAME.json and NAME.f32, in which each stream has its columns one
// after the other: the reference's, the clean ones, and the first feature's by change.
func (b *bench) writeStreams(name string) (err error) {
	header := streamsHeader{Streams: b.streams, Features: features, ReferenceRows: 5_000, CleanRows: cleanRows, ChangedRows: changedRows}
	for _, c := range changes() {
		header.Changes = append(header.Changes, c.name)
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", text, 0o600); err != nil {
		return err
	}
	file, err := os.Create(name + ".f32") //nolint:gosec // in a folder of our own
	if err != nil {
		return err
	}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
	}()
	out := bufio.NewWriterSize(file, 1<<20)
	for number := range b.streams {
		s := b.newStream(number)
		for _, columns := range [][][]float64{s.reference[:], s.clean[:], s.changed} {
			for _, column := range columns {
				for _, x := range column {
					if _, err := out.Write(binary.LittleEndian.AppendUint32(out.AvailableBuffer(), math.Float32bits(float32(x)))); err != nil {
						return err
					}
				}
			}
		}
	}
	return out.Flush()
}
