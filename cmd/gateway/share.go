package main

import (
	"fmt"
	"strconv"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// parseShare returns the basis points of "20%", "2.5%" or "2000bp". A number without a unit is an
// error, since it could mean either.
func parseShare(text string) (int, error) {
	number, percent := strings.CutSuffix(text, "%")
	points, inPoints := strings.CutSuffix(text, "bp")
	const digits = 2 // a basis point is 0.01%
	whole, fraction, pointed := strings.Cut(number, ".")
	switch {
	case inPoints:
		whole = points
	case !percent:
		if n, err := strconv.ParseUint(text, 10, 31); err == nil && n <= 100 {
			return 0, fmt.Errorf("'%d' has no unit; write %d%% or %dbp", n, n, n*100)
		}
		return 0, fmt.Errorf("'%s' is not a valid share: expected a form such as 20%%, 2.5%% or 2000bp", text)
	case pointed && len(fraction) > digits:
		return 0, fmt.Errorf("'%s' has too many digits: the smallest step is a basis point, 0.01%%", text)
	default:
		whole += fraction + strings.Repeat("0", digits-len(fraction))
	}
	share, err := strconv.ParseUint(whole, 10, 31)
	switch {
	case err != nil || pointed && fraction == "" || percent && (number == "" || number[0] == '.'):
		return 0, fmt.Errorf("'%s' is not a valid share: expected a form such as 20%%, 2.5%% or 2000bp", text)
	case share > api.TotalWeight:
		return 0, fmt.Errorf("'%s' is too large: expected at most 100%%", text)
	}
	return int(share), nil
}

// versionShare is a version, or the alias of one, and its share.
type versionShare struct {
	version int64
	alias   string
	share   int
	given   bool // false if there is no share
}

// parseVersionShare reads "2=20%" or "@champion=20%".
func parseVersionShare(text string) (v versionShare, err error) {
	name, part, given := strings.Cut(text, "=")
	v.given = given
	if alias, ok := strings.CutPrefix(name, "@"); ok {
		if v.alias = alias; !api.ValidAlias(alias) {
			return v, fmt.Errorf("'%s' is not a valid alias: expected, for example, @champion", name)
		}
	} else if v.version, ok = infer.ParseVersion(name); !ok {
		return v, fmt.Errorf("version '%s' is not a valid number: expected 1 or more, or an alias such as @champion", name)
	}
	if given {
		v.share, err = parseShare(part)
	}
	return v, err
}
