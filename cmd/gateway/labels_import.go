package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"sluice.io/sluice/api"
)

// labelPart is the number of labels in a part of a file.
const labelPart = 10_000

// readLabelsFile is readLabels for input that may also be a Parquet file, which is not read from its
// beginning to its end.
func readLabelsFile(in io.Reader, send func(mediaType string, body []byte) error) error {
	file, ok := in.(*os.File)
	if !ok {
		return readLabels(in, send)
	}
	var magic [len(parquetMagic)]byte
	if _, err := file.ReadAt(magic[:], 0); err != nil || string(magic[:]) != parquetMagic {
		return readLabels(in, send) // it has an error of the file too
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return readLabelsParquet(file, info.Size(), send)
}

// readLabels reads labels in one of the three forms, and calls send with parts of them.
func readLabels(in io.Reader, send func(mediaType string, body []byte) error) error {
	buffered := bufio.NewReader(in)
	for {
		first, err := buffered.Peek(1)
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the file is empty")
		case err != nil:
			return err
		case bytes.ContainsAny(first, " \t\r\n"):
			_, _ = buffered.Discard(1)
		case first[0] == '{' || first[0] == '[':
			return readLabelsJSON(buffered, send)
		default:
			return readLabelsCSV(buffered, send)
		}
	}
}

// readLabelsJSON reads a list of labels, an object with such a list, or objects one after the
// other.
func readLabelsJSON(in io.Reader, send func(mediaType string, body []byte) error) error {
	var part []json.RawMessage
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		body, err := json.Marshal(map[string]any{"labels": part})
		if err != nil {
			return err
		}
		part = part[:0]
		return send("application/json", body)
	}
	dec := json.NewDecoder(in)
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return fmt.Errorf("the file is not valid JSON: %w", err)
		}
		list, err := labelsIn(raw)
		if err != nil {
			return err
		}
		for _, label := range list {
			if part = append(part, label); len(part) == labelPart {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
}

// labelsIn returns the labels of a JSON value.
func labelsIn(raw json.RawMessage) (list []json.RawMessage, err error) {
	if raw[0] == '[' {
		return list, json.Unmarshal(raw, &list)
	}
	var doc struct {
		Labels []json.RawMessage `json:"labels"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("expected a label or a list of labels: %w", err)
	}
	if doc.Labels != nil {
		return doc.Labels, nil
	}
	return []json.RawMessage{raw}, nil
}

// readLabelsCSV reads lines under a header, which each part repeats.
func readLabelsCSV(in io.Reader, send func(mediaType string, body []byte) error) error {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	w := csv.NewWriter(&body)
	_ = w.Write(head) // Flush has the error
	head = append([]string(nil), head...)
	for n := 0; ; {
		record, err := r.Read()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("the file is not valid CSV: %w", err)
		}
		if err == nil {
			_ = w.Write(record) // as above
			n++
		}
		if n == labelPart || err != nil && n > 0 {
			w.Flush()
			if err := errors.Join(w.Error(), send("text/csv", body.Bytes())); err != nil {
				return err
			}
			body.Reset()
			_ = w.Write(head) // as above
			n = 0
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the file
		}
	}
}

// addLabels adds the counts and the first problems of a part.
func addLabels(sum, part *api.LabelResult) {
	const most = 100
	for i := 0; i < len(part.Problems) && len(sum.Problems) < most; i++ {
		p := part.Problems[i]
		p.Index += int(sum.Rows) //nolint:gosec // a file's number of lines
		sum.Problems = append(sum.Problems, p)
	}
	sum.Rows += part.Rows
	sum.Joined += part.Joined
	sum.Unknown += part.Unknown
	sum.Late += part.Late
	sum.Duplicate += part.Duplicate
	sum.Contradictory += part.Contradictory
	sum.Invalid += part.Invalid
	sum.NotSampled += part.NotSampled
	sum.BeforePrediction += part.BeforePrediction
}
