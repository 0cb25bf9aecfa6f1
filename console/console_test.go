package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"sluice.io/sluice/console"
)

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r *http.Response) []byte {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// assets returns the paths that a page names.
func assets(page []byte) (list []string) {
	for _, m := range regexp.MustCompile(`(?:src|href)="\.(/[^"]+)"`).FindAllSubmatch(page, -1) {
		list = append(list, string(m[1]))
	}
	return list
}

func TestPageAndItsAssets(t *testing.T) {
	h, err := console.New()
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, h, "/")
	text := read(t, page)
	if page.StatusCode != http.StatusOK || page.Header.Get("Content-Type") != "text/html; charset=utf-8" || page.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("the page: %d %v", page.StatusCode, page.Header)
	}
	if list := assets(text); len(list) < 3 {
		t.Errorf("the page names %q, expected a script, a style sheet and an icon by relative addresses", list)
	}
	for _, path := range assets(text) {
		r := get(t, h, path)
		if r.StatusCode != http.StatusOK || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") || !h.Has(path) {
			t.Errorf("%s: %d, cache %q", path, r.StatusCode, r.Header.Get("Cache-Control"))
		}
		if same := get(t, h, path, "If-None-Match", r.Header.Get("ETag")); same.StatusCode != http.StatusNotModified {
			t.Errorf("%s with its own ETag: %d, expected 304", path, same.StatusCode)
		}
	}
	for _, path := range []string{"/index.html", "/assets/", "/assets/none.js", "/dist/index.html", "/../console.go"} {
		if r := get(t, h, path); r.StatusCode != http.StatusNotFound || h.Has(path) {
			t.Errorf("%s: %d, expected 404", path, r.StatusCode)
		}
	}
}

// The policy of the page allows no inline scripts and styles, so the page must not have any.
func TestPolicyAllowsOnlyOwnFiles(t *testing.T) {
	h, err := console.New()
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, h, "/")
	policy := page.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %q", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows something unsafe: %q", policy)
	}
	text := read(t, page)
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|style=|\son[a-z]+=`).Match(text) || bytes.Contains(text, []byte("://")) {
		t.Errorf("the page has inline code, or names another host:\n%s", text)
	}
}

func TestCompressed(t *testing.T) {
	h, err := console.New()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, path := range append([]string{"/"}, assets(read(t, get(t, h, "/")))...) {
		plain := read(t, get(t, h, path, "Accept-Encoding", "gzip;q=0, br"))
		r := get(t, h, path, "Accept-Encoding", "br, gzip")
		body := read(t, r)
		total += len(body)
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Vary is %q", path, r.Header.Get("Vary"))
		}
		if r.Header.Get("Content-Encoding") == "" {
			continue // it is as small without
		}
		unzip, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(unzip); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: the compressed file differs from the plain one: %v", path, err)
		}
		if bare := get(t, h, path); bare.Header.Get("ETag") == r.Header.Get("ETag") {
			t.Errorf("%s: both forms have the ETag %s", path, r.Header.Get("ETag"))
		}
	}
	const most = 150 << 10
	if total > most {
		t.Errorf("the console has %d bytes compressed, expected at most %d", total, most)
	}
}
