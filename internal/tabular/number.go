package tabular

import (
	"errors"
	"strconv"
	"strings"
)

// number returns the value of a field. NaN and infinities are values, in any spelling that strconv
// accepts. A number out of the range of a float64 is infinite, as in all readers of such files.
// True and False are 1 and 0.
func number(field string) (float64, bool) {
	x, err := strconv.ParseFloat(field, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return x, true
	}
	switch {
	case strings.EqualFold(field, "true"):
		return 1, true
	case strings.EqualFold(field, "false"):
		return 0, true
	default:
		return 0, false
	}
}

// hasDecimalComma reports whether a field would be a number with a point in place of its comma.
func hasDecimalComma(field string) bool {
	if strings.Count(field, ",") != 1 {
		return false
	}
	_, ok := number(strings.Replace(field, ",", ".", 1))
	return ok
}

// trim removes blanks around a field. Most numbers have none.
func trim(field string) string {
	if n := len(field); n == 0 || field[0] > ' ' && field[n-1] > ' ' && field[0] < 0x80 && field[n-1] < 0x80 {
		return field
	}
	return strings.TrimSpace(field)
}

// isMissing reports whether a trimmed field is a missing value.
func (o *Options) isMissing(field string) bool {
	for _, m := range o.Missing {
		if strings.EqualFold(field, m) {
			return true
		}
	}
	return false
}
