package httpapi

import (
	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

// authorize returns the name of the token that a request shows; it is empty
// where none is asked for.
func (x *exchange) authorize() (name string, err error) {
	if !x.srv.tokens.Any() {
		return "", nil
	}
	name, err = x.srv.tokens.Bearer(x.header.authorization)
	if infer.CodeOf(err) == infer.Unauthenticated {
		x.ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, wire.Challenge)
	}
	return name, err
}
