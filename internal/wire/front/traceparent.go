package front

import "bytes"

// traceID returns the trace id of a W3C traceparent header, nil if the header is absent or not
// valid (Trace Context level 2, section 3.2): version, trace id, parent id and flags in lower-case
// hexadecimal. Only a version later than 00 may have more fields.
func traceID(header []byte) []byte {
	const size = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(header) < size || header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return nil
	}
	version, trace, parent, flags := header[:2], header[3:35], header[36:52], header[53:55]
	if !isHex(version) || !isHex(trace) || !isHex(parent) || !isHex(flags) {
		return nil
	}
	if string(version) == "ff" || len(bytes.Trim(trace, "0")) == 0 || len(bytes.Trim(parent, "0")) == 0 {
		return nil
	}
	if len(header) > size && (string(version) == "00" || header[size] != '-') {
		return nil
	}
	return trace
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
