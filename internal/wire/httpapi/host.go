package httpapi

import (
	"bytes"
	"strings"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// checkHost refuses a request to a host that is not one of those in the options. A web page whose host name was made to
// lead here (DNS rebinding) is of the same origin for its browser, so that it could read answers that need no key. Open
// endpoints take any host: probes call them by an address.
func (x *exchange) checkHost(need callers.Need) error {
	hosts := x.srv.opts.Hosts
	if len(hosts) == 0 || need.Scope == callers.Open {
		return nil
	}
	given := view(hostName(x.ctx.Request.Header.Host()))
	for _, host := range hosts {
		if strings.EqualFold(host, given) {
			return nil
		}
	}
	return infer.Errorf(infer.Forbidden, "the host '%s' of the request is not one of those that this gateway has; server.http.hosts lists them", front.Cut(given))
}

// hostName returns a header Host without its port, and without the brackets of an IPv6 address.
func hostName(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		if end := bytes.IndexByte(host, ']'); end > 0 {
			return host[1:end]
		}
		return host
	}
	name, _, _ := bytes.Cut(host, []byte{':'})
	return name
}
