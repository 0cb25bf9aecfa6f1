package httpapi

import (
	"bytes"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/rows"
)

// refuseForeign returns an UnsupportedMedia error for a body that is an image, a form or has
// several parts. A body that begins like JSON is treated as JSON, whatever its Content-Type is:
// curl declares every body as a form.
func (x *exchange) refuseForeign(body []byte) error {
	if x.header.contentType == nil || beginsAsJSON(body) {
		return nil
	}
	switch kind := mediaType(x.header.contentType); {
	case hasPrefixFold(kind, "image/"), hasPrefixFold(kind, "multipart/"), bytes.EqualFold(kind, []byte("application/x-www-form-urlencoded")):
		return infer.Errorf(infer.UnsupportedMedia, "a body of type '%s' is not supported; send tensors as JSON, with binary data behind it if the header %s gives the length of the JSON, or rows to the endpoint predict",
			front.Cut(view(kind)), headerJSONLength)
	default:
		return nil
	}
}

// frameFormat returns the format of a data frame. A body without a type is JSON, and so is one of
// another type that begins like JSON.
func (x *exchange) frameFormat(body []byte) (csv bool, header rows.Header, err error) {
	kind := mediaType(x.header.contentType)
	switch {
	case bytes.EqualFold(kind, []byte("text/csv")):
		return true, headerOf(x.header.contentType), nil
	case len(kind) == 0, isJSON(kind), beginsAsJSON(body):
		return false, 0, nil
	default:
		return false, 0, infer.Errorf(infer.UnsupportedMedia, "a body of type '%s' is not supported; send rows as application/json or as text/csv", front.Cut(view(kind)))
	}
}

// headerOf returns the value of the parameter "header" of text/csv.
func headerOf(contentType []byte) rows.Header {
	_, parameters, _ := bytes.Cut(contentType, []byte{';'})
	for len(parameters) > 0 {
		var p []byte
		p, parameters, _ = bytes.Cut(parameters, []byte{';'})
		name, value, _ := bytes.Cut(p, []byte{'='})
		value = bytes.Trim(value, " \t\"")
		switch {
		case !bytes.EqualFold(bytes.TrimSpace(name), []byte("header")):
		case bytes.EqualFold(value, []byte("present")):
			return rows.HeaderPresent
		case bytes.EqualFold(value, []byte("absent")):
			return rows.HeaderAbsent
		}
	}
	return rows.HeaderUnknown
}

// mediaType returns the value of a Content-Type without its parameters.
func mediaType(value []byte) []byte {
	kind, _, _ := bytes.Cut(value, []byte{';'})
	return bytes.TrimSpace(kind)
}

func isJSON(kind []byte) bool { return bytes.EqualFold(kind, []byte("application/json")) }

// beginsAsJSON reports whether a body begins like a JSON object or array.
func beginsAsJSON(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// hasPrefixFold reports whether s begins with prefix, which is ASCII, ignoring case.
func hasPrefixFold(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && bytes.EqualFold(s[:len(prefix)], []byte(prefix))
}
