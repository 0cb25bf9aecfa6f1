package httpapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
)

// CORS says which web pages may call from a browser (the Fetch standard, section 3.2). The answers
// never allow credentials.
type CORS struct {
	Origins []string // exactly as browsers send them; or only "*". None: CORS is off
	Methods []string
	Headers []string      // of requests
	MaxAge  time.Duration // of the answer to a preflight
}

// exposedHeaders are those of answers that pages may read.
const exposedHeaders = headerJSONLength + ", Retry-After, Sluice-Reason, Sluice-Route, Sluice-Version, X-Request-Id"

// cors has the values of a CORS as headers have them.
type cors struct {
	origins                  []string
	any                      bool
	methods, headers, maxAge string
}

// newCORS returns nil if CORS is off.
func newCORS(o *CORS) *cors {
	if len(o.Origins) == 0 {
		return nil
	}
	return &cors{
		origins: o.Origins, any: slices.Contains(o.Origins, "*"),
		methods: strings.Join(o.Methods, ", "), headers: strings.Join(o.Headers, ", "), maxAge: strconv.Itoa(int(o.MaxAge / time.Second)),
	}
}

// allows reports whether a page of the origin may call. A request without an Origin is not from a page.
func (c *cors) allows(origin []byte) bool {
	return len(origin) > 0 && (c.any || slices.Contains(c.origins, view(origin)))
}

// checkPage refuses a change by a web page that is not named in the origins, unless the page has a key.
// A browser sends what a page of any site asks for, and adds a client certificate by itself. '*' does
// not count, nor that the page's host is the request's: any host name can lead here (DNS rebinding).
func (x *exchange) checkPage() error {
	h := &x.header
	if h.authorization != nil || !x.target.endpoint.changes() {
		return nil
	}
	site := view(h.fetchSite)
	if h.origin == nil && (site == "" || site == "none" || site == "same-origin") {
		return nil // not a page: browsers send the origin of one with each POST
	}
	if c := x.srv.cors; c != nil && slices.Contains(c.origins, view(h.origin)) {
		return nil
	}
	return infer.Errorf(infer.Forbidden, "a web page may make changes only with the key of a caller, or if server.http.cors.origins has its origin")
}

// mark writes into the headers of an answer whether a page of the origin may read it.
func (c *cors) mark(h *fasthttp.ResponseHeader, origin []byte) {
	if !c.any { // so that a cache does not give the answer for one origin to another
		h.Set(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	}
	if !c.allows(origin) {
		return
	}
	if c.any {
		origin = []byte("*")
	}
	h.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, origin)
	h.Set(fasthttp.HeaderAccessControlExposeHeaders, exposedHeaders)
}

// options answers OPTIONS, which a browser's preflight uses. It reads no body, asks for no token and
// looks no model up.
func (x *exchange) options(allow string) {
	h := &x.ctx.Response.Header
	h.Set(fasthttp.HeaderAllow, allow)
	x.ctx.SetStatusCode(fasthttp.StatusNoContent)
	if c := x.srv.cors; c != nil && c.allows(x.header.origin) {
		h.Set(fasthttp.HeaderAccessControlAllowMethods, c.methods)
		h.Set(fasthttp.HeaderAccessControlAllowHeaders, c.headers)
		h.Set(fasthttp.HeaderAccessControlMaxAge, c.maxAge)
	}
}
