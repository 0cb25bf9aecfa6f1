package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// anyOrigin allows all origins.
const anyOrigin = "*"

// CORS says which web pages may call the data plane from a browser.
type CORS struct {
	Origins []string      `yaml:"origins" default:"[]" doc:"Origins that may call, such as https://app.example.com, exactly as browsers send them; or only '*' for all. Empty: none."`
	Methods []string      `yaml:"methods" default:"[GET, HEAD, POST]" enum:"GET|HEAD|POST" doc:"Methods that pages may use."`
	Headers []string      `yaml:"headers" default:"[Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, Sluice-Actor, Sluice-Change-Reason, Sluice-Override, X-Request-Id, traceparent, tracestate]" doc:"Request headers that pages may set. Add the header of sticky routes."`
	MaxAge  time.Duration `yaml:"max_age" default:"10m" min:"0s" max:"24h" doc:"Time for which a browser may remember what a preflight answered."`
}

func (d *decoder) hosts() {
	const path = "server.http.hosts"
	hosts := d.cfg.Server.HTTP.Hosts
	for i, host := range hosts {
		if _, err := netip.ParseAddr(host); err != nil && (host == "" || strings.ContainsAny(host, "/:*@[] ")) {
			d.problemAt(element(path, i), "expected a host name such as gateway.example.com, or an address, without a port, got %s", clip(host))
		}
	}
	for _, i := range repeated(hosts) {
		d.problemAt(element(path, i), "%s is named twice", clip(hosts[i]))
	}
}

func (d *decoder) cors() {
	c := &d.cfg.Server.HTTP.CORS
	const path = "server.http.cors"
	for i, origin := range c.Origins {
		switch {
		case origin == anyOrigin && len(c.Origins) > 1:
			d.problemAt(element(path+".origins", i), "'*' allows all origins, so it must be the only one")
		case origin != anyOrigin && !isOrigin(origin):
			d.problemAt(element(path+".origins", i), "expected '*', or an origin such as https://app.example.com: scheme, host and port in lower case, without a path, got %s", clip(origin))
		}
	}
	for _, i := range repeated(c.Origins) {
		d.problemAt(element(path+".origins", i), "%s is named twice", clip(c.Origins[i]))
	}
	for i, name := range c.Headers {
		if name == "" || strings.IndexFunc(name, notHeaderLetter) >= 0 {
			d.problemAt(element(path+".headers", i), "expected the name of a header, got %s", clip(name))
		}
	}
}

// isOrigin reports whether s is what a browser sends in the header Origin.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && s == strings.ToLower(u.Scheme+"://"+u.Host)
}

func notHeaderLetter(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
