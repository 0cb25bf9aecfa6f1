package ort

import (
	"errors"
	"path/filepath"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// internal returns an Internal error. err is for the log.
func internal(op, msg string, err error) *infer.Error {
	return &infer.Error{Code: infer.Internal, Op: "ort: " + op, Msg: msg, Err: err}
}

// closedTwice is called if something is closed a second time. It panics if invariants are
// checked, else it returns an error.
func closedTwice(what string) error {
	if invariants {
		panic("BUG: " + what + " closed twice")
	}
	return errors.New("ort: " + what + " is already closed")
}

// loadError is an error of loading a model. Its message has ONNX Runtime's reason, without
// paths of the host and places in its source. The unchanged text is the cause.
func loadError(msg string, err error, paths ...string) *infer.Error {
	return &infer.Error{Code: infer.Invalid, Op: "ort: load", Msg: msg + ": " + publicText(withoutPaths(err.Error(), paths)), Err: err}
}

// withoutPaths replaces each path in text, as given or resolved, by its last element, and
// removes its folder.
func withoutPaths(text string, paths []string) string {
	for _, given := range paths {
		for _, p := range spellings(given) {
			text = strings.ReplaceAll(text, p, filepath.Base(p))
			if dir := filepath.Dir(p); len(dir) > 1 {
				text = strings.ReplaceAll(text, dir+string(filepath.Separator), "")
				text = strings.ReplaceAll(text, dir, "")
			}
		}
	}
	return text
}

func spellings(given string) []string {
	list := []string{given}
	if abs, err := filepath.Abs(given); err == nil {
		list = append(list, abs)
	}
	if resolved, err := filepath.EvalSymlinks(given); err == nil {
		list = append(list, resolved)
		if abs, err := filepath.Abs(resolved); err == nil {
			list = append(list, abs)
		}
	}
	return list
}
