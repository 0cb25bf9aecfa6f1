// Package bare reads JSON with bare tokens for floats that are not finite.
package bare

import "bytes"

// Quote puts NaN, Infinity and -Infinity in quotes. Gateways write them as bare
// tokens, which are not JSON.
func Quote(doc []byte) []byte {
	quoted := make([]byte, 0, len(doc)+len(doc)/8)
	for inString := false; len(doc) > 0; {
		n := 1
		switch {
		case inString && doc[0] == '\\':
			n = min(2, len(doc))
		case doc[0] == '"':
			inString = !inString
		case !inString:
			if n = tokenLength(doc); n > 1 {
				quoted = append(append(append(quoted, '"'), doc[:n]...), '"')
				doc = doc[n:]
				continue
			}
		}
		quoted, doc = append(quoted, doc[:n]...), doc[n:]
	}
	return quoted
}

// tokenLength returns the length of such a token at the start of doc, or 1.
func tokenLength(doc []byte) int {
	for _, token := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(doc, []byte(token)) {
			return len(token)
		}
	}
	return 1
}
