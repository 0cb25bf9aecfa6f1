package mlflow

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// scheme is how a reference to a version begins.
const scheme = "models:/"

// maxName is the max length of a model's name or an alias, in bytes.
const maxName = 256

// Reference names a version of a registered model, by its number or by an alias.
type Reference struct {
	Name    string
	Version int64  // 0 if Alias is set
	Alias   string // empty if Version is set
}

// IsReference reports whether a text is meant as a reference, valid or not.
func IsReference(text string) bool { return strings.HasPrefix(text, scheme) }

// ParseReference parses models:/NAME/VERSION and models:/NAME@ALIAS. The error is Invalid.
func ParseReference(text string) (r Reference, err error) {
	const expected = "expected models:/NAME/VERSION or models:/NAME@ALIAS"
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return r, infer.Errorf(infer.Invalid, "'%.100s' is not a reference to an MLflow model: %s", text, expected)
	}
	name, version, numbered := strings.Cut(rest, "/")
	if !numbered {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			name, r.Alias = rest[:at], rest[at+1:]
		}
	}
	r.Name = name
	switch {
	case !validName(name):
		return r, infer.Errorf(infer.Invalid, "'%.100s' has no valid name of a model: %s", text, expected)
	case numbered:
		if r.Version, ok = infer.ParseVersion(version); !ok {
			return r, infer.Errorf(infer.Invalid, "'%.100s' is not a number of a version: %s. Stages of MLflow and 'latest' are not supported", version, expected)
		}
	case !validName(r.Alias):
		return r, infer.Errorf(infer.Invalid, "'%.100s' names no version: %s", text, expected)
	}
	return r, nil
}

// validName reports whether a text can be the name of a model or an alias.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// String returns the reference as ParseReference reads it.
func (r Reference) String() string {
	if r.Alias != "" {
		return scheme + r.Name + "@" + r.Alias
	}
	return scheme + r.Name + "/" + strconv.FormatInt(r.Version, 10)
}
