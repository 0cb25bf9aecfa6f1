package admin

import "net/http"

// guards are the headers that keep a browser from doing more with an answer than to show it: run
// scripts of it, show it in a frame of another page, send its forms, take it for another type, keep
// it, give it to pages of other sites, or tell these where their reader comes from. The pages of
// this port have styles, but no scripts.
var guards = [...][2]string{
	{"Cache-Control", "no-store"},
	{"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
}

// guarded sets the headers on all answers of a handler, those of http.ServeMux too.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, guard := range guards {
			h.Set(guard[0], guard[1])
		}
		next.ServeHTTP(w, r)
	})
}
