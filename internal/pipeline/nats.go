package pipeline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// NATSOptions configure a NATS queue. Token and Creds may be empty.
type NATSOptions struct {
	URL     string // of one server, or of several, separated by commas
	Subject string // of requests, without the model
	Token   string
	Creds   string // a file with the credentials of a user
	Source  string // of the events
	Timeout time.Duration
}

// NATS is a Queue: a subject of NATS JetStream for each model. Requests are rare, so each has its own connection.
type NATS struct{ o NATSOptions }

// NewNATS returns a queue. It does not connect.
func NewNATS(o NATSOptions) *NATS { return &NATS{o} }

// Publish implements Queue. The message is a CloudEvent in binary mode, whose data is the document. The stream drops a message with the
// id of an earlier one for as long as it remembers them (its duplicate window), and every message has the id of its retraining.
func (n *NATS) Publish(ctx context.Context, id, model string, document []byte) error {
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	options := []nats.Option{nats.Name("sluice"), nats.Timeout(n.o.Timeout), nats.NoReconnect()}
	if n.o.Token != "" {
		options = append(options, nats.Token(n.o.Token))
	}
	if n.o.Creds != "" {
		options = append(options, nats.UserCredentials(n.o.Creds))
	}
	conn, err := nats.Connect(n.o.URL, options...)
	if err != nil {
		return unavailable("the server cannot be reached", err)
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		return unavailable("JetStream is not available", err)
	}
	msg := &nats.Msg{Subject: n.o.Subject + "." + token(model), Data: document, Header: nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-type": {api.TypeRetrainRequested}, "ce-source": {n.o.Source}, "ce-subject": {model},
		"content-type": {"application/json"},
	}}
	if _, err := stream.PublishMsg(ctx, msg, jetstream.WithMsgID(id)); err != nil {
		return unavailable("no stream has stored the request on subject "+msg.Subject, err)
	}
	return nil
}

// token returns the name of a model as one token of a subject: other characters than letters, digits, '-' and '_' are %XX.
func token(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func unavailable(what string, err error) error {
	return &infer.Error{Code: infer.Unavailable, Op: "nats", Msg: what + ": " + err.Error(), Err: err}
}
