// Package console is the page of the gateway: what serves, how it does, and who changed it. It is a program for browsers that
// asks the control API, built by `make console` from the sources beside this file. The built files are committed, so that the
// gateway is built without Node.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist
var dist embed.FS

// policy lets the page load its own files, and ask its own gateway. It forbids everything else: inline scripts and styles,
// other hosts, frames and forms.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// The values of Cache-Control. The names of assets have a hash of their content, that of the page does not.
const (
	revalidate = "no-cache"
	forever    = "public, max-age=31536000, immutable"
)

// Handler serves the files of the console: the page at "/", and its assets below "/assets/". It answers 404 for other paths.
type Handler struct {
	files map[string]*file // by path
}

// file is a file with what is sent with it.
type file struct {
	plain, zipped []byte // zipped is nil if it is not smaller
	kind          string // its Content-Type
	cache         string
	tag           string // a hash of the content
}

// New reads and compresses the files. It returns an error only if the files that were built in are not complete.
func New() (*Handler, error) {
	h := &Handler{files: map[string]*file{}}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name, "dist")
		f, err := newFile(at, body)
		if at == "/index.html" {
			at = "/"
		}
		h.files[at] = f
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if h.files["/"] == nil {
		return nil, errors.New("console: the page is missing; run make console")
	}
	return h, nil
}

func newFile(name string, body []byte) (*file, error) {
	sum := sha256.Sum256(body)
	f := &file{plain: body, kind: typeOf(name), cache: revalidate, tag: hex.EncodeToString(sum[:16])}
	if strings.HasPrefix(name, "/assets/") {
		f.cache = forever
	}
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if zipped.Len() < len(body) {
		f.zipped = zipped.Bytes()
	}
	return f, nil
}

// typeOf returns the Content-Type of a file. It does not depend on the types that a machine has configured.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(path.Ext(name))
	}
}

// Has reports whether a path of a URL has a file.
func (h *Handler) Has(path string) bool { return h.files[path] != nil }

// ServeHTTP implements http.Handler for GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.files[r.URL.Path]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", f.cache)
	header.Set("Content-Type", f.kind)
	header.Set("Vary", "Accept-Encoding")
	body, tag := f.plain, f.tag
	if f.zipped != nil && takesGzip(r) {
		body, tag = f.zipped, tag+"-gzip"
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether a client names gzip among the encodings that it reads, and does not refuse it.
func takesGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(one), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.TrimSpace(weight)
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
