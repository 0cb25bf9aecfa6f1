// Package grpcclient is a client of a Sluice gateway over gRPC: of the Open Inference Protocol on
// its gRPC port. Its calls have the names, the requests, the results and the errors of package
// client, so that a program changes only how it makes its client. The control API has no gRPC form;
// it is in package client.
//
// The client retries Infer, Labels and the calls that read, except health checks, if no connection was
// made, or if the answer has the trailer grpc-retry-pushback-ms. The gateway sends it with
// RESOURCE_EXHAUSTED and UNAVAILABLE if it has done nothing. A request that a model may have seen is
// not sent again.
//
// The messages are those of the protocol's package "inference". The registry of
// google.golang.org/protobuf holds each message once, so a program that also has other generated
// code of this protocol, such as Triton's, panics at its start unless the environment variable
// GOLANG_PROTOBUF_REGISTRATION_CONFLICT is "warn".
package grpcclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/internal/retry"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// DefaultAddress is the default gRPC address of a gateway.
const DefaultAddress = "127.0.0.1:8001"

// Options configure a Client. Those with a name of client.Options mean the same, and have the same
// defaults.
type Options struct {
	// Address is "host:port", or a URL with http or https. The connection is encrypted if it is
	// https, or TLS is set. An address without a host (":8001") is on this machine. The default
	// is DefaultAddress.
	Address string
	// Token is the key of the caller. It is sent with every call, as a bearer token.
	Token string
	// Actor is the name of the person or program that loads and unloads models, in ASCII. The
	// gateway uses it only if there is no token.
	Actor string
	// Sticky is the metadata or the parameter for a sticky key.
	Sticky api.Sticky

	Retries        int
	Backoff        time.Duration
	MaxWait        time.Duration
	MaxAnswerBytes int

	// TLS has the root certificates, and a certificate of the client. nil means the system's root
	// certificates for https, and else no encryption.
	TLS *tls.Config
	// Keepalive is the time after which the client asks a silent connection whether it still
	// works, 10 seconds or more. 0 means never. The gateway closes connections that ask more
	// often than its server.grpc.min_ping_interval allows.
	Keepalive time.Duration
	// DialOptions are grpc-go's, for interceptors and tests. They come after those of the client.
	DialOptions []grpc.DialOption
}

// Client sends requests to a gateway over one connection. It is safe for concurrent use.
type Client struct {
	address      string
	token, actor string
	sticky       api.Sticky
	retry        retry.Policy
	maxAnswer    int
	conn         *grpc.ClientConn
	calls        pb.GRPCInferenceServiceClient
	labels       pb.LabelsClient
}

// New checks the options and returns a client. It does not connect. It fails if an option is not
// valid.
func New(o Options) (*Client, error) {
	address, encrypted, err := target(cmp.Or(o.Address, DefaultAddress))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(sendable("token", o.Token), sendable("actor", o.Actor)); err != nil {
		return nil, err
	}
	if o.Sticky.Header != "" && o.Sticky.Parameter != "" {
		return nil, errors.New("sticky: expected a header or a parameter, got both")
	}
	if o.Backoff < 0 || o.MaxWait < 0 || o.MaxAnswerBytes < 0 || o.Keepalive < 0 {
		return nil, errors.New("backoff, max wait, max answer size and keepalive must not be negative")
	}
	if !encrypted && o.TLS != nil && strings.Contains(o.Address, "://") {
		return nil, errors.New("TLS needs an address with https://, or one without a scheme")
	}
	c := &Client{
		address: address, token: o.Token, actor: o.Actor, sticky: o.Sticky,
		maxAnswer: cmp.Or(o.MaxAnswerBytes, client.DefaultMaxAnswerBytes),
		retry: retry.Policy{
			Count:   max(cmp.Or(o.Retries, client.DefaultRetries), 0),
			Backoff: cmp.Or(o.Backoff, client.DefaultBackoff), MaxWait: cmp.Or(o.MaxWait, client.DefaultMaxWait),
		},
	}
	transport := insecure.NewCredentials()
	if encrypted || o.TLS != nil {
		transport = credentials.NewTLS(o.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(c.maxAnswer)),
		grpc.WithStatsHandler(watcher{}),
		grpc.WithDisableServiceConfig(), // its retries do not know what may have run
		// grpc-go connects again by itself. A retry must not come before it has tried.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: c.retry.Backoff / 4, Multiplier: 1.6, Jitter: 0.2, MaxDelay: c.retry.MaxWait},
			MinConnectTimeout: 20 * time.Second,
		}),
	}
	if o.Keepalive > 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: o.Keepalive, PermitWithoutStream: true}))
	}
	c.conn, err = grpc.NewClient("dns:///"+address, append(options, o.DialOptions...)...)
	if err != nil {
		return nil, err
	}
	c.calls, c.labels = pb.NewGRPCInferenceServiceClient(c.conn), pb.NewLabelsClient(c.conn)
	return c, nil
}

// Close closes the connection. Calls and streams in progress end with an error.
func (c *Client) Close() error { return c.conn.Close() }

// target returns the host and port of an address, and whether it is one with https.
func target(address string) (hostport string, encrypted bool, err error) {
	hostport = address
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.TrimRight(u.Path, "/") != "" {
			return "", false, fmt.Errorf("%q is not a valid address: expected host:port, or http:// or https:// before it", address)
		}
		hostport, encrypted = u.Host, u.Scheme == "https"
	}
	if strings.HasPrefix(hostport, ":") {
		hostport = "localhost" + hostport
	}
	if _, port, err := net.SplitHostPort(hostport); err != nil || port == "" {
		return "", false, fmt.Errorf("%q is not a valid address: expected host:port", address)
	}
	return hostport, encrypted, nil
}

// sendable returns an error if metadata cannot have the text. grpc-go would report it only during
// the call, as an internal error.
func sendable(what, text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%s: expected printable ASCII, which is all that the metadata of gRPC can have", what)
	}
	return nil
}

// call sends a message, with retries if it may be repeated, and returns the answer and its
// request id.
func call[Q, A any](
	ctx context.Context, c *Client, repeat bool, do func(context.Context, *Q, ...grpc.CallOption) (*A, error), question *Q,
) (answer *A, requestID string, err error) {
	err = c.retry.Do(ctx, func() (bool, time.Duration, error) {
		var o outcome
		if answer, err = do(o.watch(ctx), question, grpc.Header(&o.header), grpc.Trailer(&o.trailer)); err == nil {
			requestID = first(o.header, "x-request-id")
			return false, 0, nil
		}
		again, asked, err := c.failure(ctx, &o, err)
		return again && repeat, asked, err
	})
	return answer, requestID, err
}

// first returns the first value of a key, or "".
func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// authorized adds the token of the client to the metadata of a call.
func (c *Client) authorized(ctx context.Context) context.Context {
	if c.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
}
