package admin

import (
	"net/http"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// errNoIfMatch is answered with 428, so that callers do not overwrite changes that they have
// not seen.
var errNoIfMatch = infer.Errorf(infer.Precondition,
	`the header If-Match is missing: expected the revision to change, from the ETag of a GET, such as If-Match: "7"; use "0" if the route is not declared yet, or * for any revision`)

func setETag(w http.ResponseWriter, revision int64) {
	w.Header().Set("ETag", `"`+strconv.FormatInt(revision, 10)+`"`)
}

// ifMatch returns the revision to change. A validator that is valid by RFC 9110 but is not a
// revision matches nothing, which is Precondition. Other bad values are Invalid.
func ifMatch(values []string) (int64, error) {
	if len(values) == 0 {
		return 0, errNoIfMatch
	}
	if len(values) > 1 {
		return 0, infer.Errorf(infer.Invalid, "If-Match is given %d times, expected one revision", len(values))
	}
	text := strings.TrimSpace(values[0])
	if text == "*" {
		return AnyRevision, nil
	}
	opaque, weak := strings.CutPrefix(text, "W/")
	inner := strings.Trim(opaque, `"`)
	quoted := len(opaque) == len(inner)+2 && strings.HasPrefix(opaque, `"`) && strings.HasSuffix(opaque, `"`)
	switch revision, err := strconv.ParseInt(inner, 10, 64); {
	case strings.Contains(inner, `"`):
		return 0, infer.Errorf(infer.Invalid, `If-Match: expected one revision such as "7", got a list: %.80s`, text)
	case !quoted:
		return 0, infer.Errorf(infer.Invalid, `If-Match: expected a revision in quotes such as "7", or *, got %.80s`, text)
	case weak:
		return 0, infer.Errorf(infer.Precondition, `If-Match: a weak validator never matches; expected a revision such as "7", got %.80s`, text)
	case err != nil || revision < 0 || strconv.FormatInt(revision, 10) != inner:
		return 0, infer.Errorf(infer.Precondition, `If-Match: %.80s is not a valid revision; expected a number such as "7"`, text)
	default:
		return revision, nil
	}
}
