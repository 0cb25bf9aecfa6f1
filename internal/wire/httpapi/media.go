package httpapi

import (
	"bytes"

	"sluice.io/sluice/internal/infer"
)

// refuseForeign returns an UnsupportedMedia error for a body that is an image, a form or
// has several parts. A body that begins as JSON is JSON, whatever its Content-Type says:
// curl calls all that it sends a form.
func (x *exchange) refuseForeign(body []byte) error {
	if x.header.contentType == nil || beginsAsJSON(body) {
		return nil
	}
	switch kind := mediaType(x.header.contentType); {
	case hasPrefixFold(kind, "image/"), hasPrefixFold(kind, "multipart/"), bytes.EqualFold(kind, []byte("application/x-www-form-urlencoded")):
		return infer.Errorf(infer.UnsupportedMedia, "a body of type '%s' is not taken; send tensors as JSON, with binary data behind it if the header %s gives the length of the JSON",
			cut(view(kind)), headerJSONLength)
	default:
		return nil
	}
}

// mediaType returns the value of a Content-Type without its parameters.
func mediaType(value []byte) []byte {
	kind, _, _ := bytes.Cut(value, []byte{';'})
	return bytes.TrimSpace(kind)
}

// beginsAsJSON reports whether a body is an object or an array, if it is JSON at all.
func beginsAsJSON(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// hasPrefixFold reports whether s begins with prefix, which is ASCII, in any case.
func hasPrefixFold(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && bytes.EqualFold(s[:len(prefix)], []byte(prefix))
}
