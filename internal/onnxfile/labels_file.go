package onnxfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// LabelsFile lists the class labels of the model file beside it, one a line.
const LabelsFile = "labels.txt"

// ReadLabels reads labels.txt in root, nil if there is none. It ignores carriage returns, a
// byte order mark and empty lines at the end. Other empty lines are classes without a label.
// Errors are Invalid: it is not a plain file inside root, is longer than maxBytes, has more
// than maxCount lines, or is not UTF-8.
func ReadLabels(root *os.Root, maxCount int, maxBytes int64) ([]string, error) {
	info, err := root.Stat(LabelsFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, infer.Errorf(infer.Invalid, "the file %s", reason(err))
	case !info.Mode().IsRegular(): // opening a pipe would block for ever
		return nil, infer.Errorf(infer.Invalid, "it is not a regular file")
	case links(info) > 1:
		return nil, infer.Errorf(infer.Invalid, "the file has %d hard links and may belong elsewhere; copy it", links(info))
	}
	file, err := root.Open(LabelsFile)
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "the file %s", reason(err))
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	switch {
	case err != nil:
		return nil, infer.Errorf(infer.Invalid, "the file cannot be read")
	case int64(len(text)) > maxBytes:
		return nil, infer.Errorf(infer.Invalid, "it is longer than the limit of %d bytes", maxBytes)
	case !utf8.Valid(text):
		return nil, infer.Errorf(infer.Invalid, "it is not valid UTF-8")
	}
	text = bytes.TrimRight(bytes.TrimPrefix(text, []byte("\uFEFF")), "\r\n")
	if n := bytes.Count(text, []byte{'\n'}) + 1; n > maxCount {
		return nil, infer.Errorf(infer.Invalid, "it has %d lines, more than the limit of %d labels", n, maxCount)
	}
	labels := strings.Split(string(text), "\n")
	for i := range labels {
		labels[i] = strings.TrimSuffix(labels[i], "\r")
	}
	return labels, nil
}
