package infer

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameBytes is the longest name of a model in bytes. It is also the longest name of a folder
// on common file systems.
const MaxNameBytes = 255

// ValidName reports whether s can be the name of a model or a route: UTF-8 without slashes,
// backslashes, control characters or a blank at either end, and neither "." nor "..". Names
// with dots inside such as "..." or "model..1" are valid.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxNameBytes || s == "." || s == ".." || !utf8.ValidString(s) {
		return false
	}
	if strings.TrimSpace(s) != s {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) }) < 0
}

// ParseVersion returns the number of a version in a path or a folder's name: decimal digits
// without a leading zero, 1 or more.
func ParseVersion(s string) (n int64, ok bool) {
	if s == "" || s[0] < '1' || s[0] > '9' || len(s) > 19 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
