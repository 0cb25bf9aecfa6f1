package front

import (
	"encoding/hex"

	"sluice.io/sluice/internal/infer"
)

// parseTraceparent returns the span of a W3C traceparent header, and whether it is sampled. The span
// is zero if the header is absent or not valid (Trace Context level 2, section 3.2): version, trace
// id, parent id and flags in lower-case hexadecimal. Only a version later than 00 may have more
// fields.
func parseTraceparent(header []byte) (span infer.Span, sampled bool) {
	const size = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(header) < size || header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return infer.Span{}, false
	}
	if string(header[:2]) == "ff" || len(header) > size && (string(header[:2]) == "00" || header[size] != '-') {
		return infer.Span{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], header[:2]) || !unhex(span.Trace[:], header[3:35]) || !unhex(span.ID[:], header[36:52]) || !unhex(flags[:], header[53:55]) || !span.Valid() {
		return infer.Span{}, false
	}
	return span, flags[0]&1 != 0
}

// unhex decodes lower-case hexadecimal digits.
func unhex(dst, src []byte) bool {
	for _, c := range src {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}
