package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, in YAML plain or with a unit: 64MiB.
type Size int64

// parseSize parses the format of Size.String.
func parseSize(s string) (Size, error) {
	digits := strings.TrimRight(s, "BKMGi")
	unit := s[len(digits):]
	shift := map[string]uint{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30}
	by, known := shift[unit]
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if !known || err != nil || n < 0 || n > math.MaxInt64>>by {
		return 0, strconv.ErrSyntax
	}
	return Size(n << by), nil
}

// String returns the size with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name string
		by   uint
	}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if s != 0 && s%(1<<u.by) == 0 {
			return fmt.Sprintf("%d%s", int64(s)>>u.by, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Weight is a share of the traffic in basis points, in YAML a percentage such as
// 2.5%, or plain basis points.
type Weight int64

// parseWeight parses the format of Weight.String. A percentage finer than a basis point is an error
// and is not rounded, since the weights must add up.
func parseWeight(s string) (Weight, error) {
	percent, is := strings.CutSuffix(s, "%")
	if !is {
		n, err := strconv.ParseInt(s, 10, 64)
		return Weight(n), err
	}
	whole, fraction, point := strings.Cut(strings.TrimSpace(percent), ".")
	if point && fraction == "" || strings.Trim(fraction, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > 2 {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
	if err != nil || strings.TrimLeft(whole, "+-") == "" {
		return 0, strconv.ErrSyntax
	}
	return Weight(n), nil
}

// String returns the weight as a percentage.
func (w Weight) String() string {
	return strconv.FormatFloat(float64(w)/100, 'f', -1, 64) + "%"
}

// Secret is a string that is hidden in logs and messages.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Versions selects the versions of a model to load; exactly one field is set.
type Versions struct {
	All     bool    // every version
	Latest  int     // the n newest
	Numbers []int64 // these
}
