// Command goclient lets the tests in conformance call a gateway with the Go client. It reads a call
// from each line of its input, a JSON object, and writes the answer as a line.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func main() {
	data := flag.String("data", "", "address of the data port")
	admin := flag.String("admin", "", "address of the admin port")
	ca := flag.String("ca", "", "file of root certificates, PEM")
	sticky := flag.String("sticky", "", "header of sticky keys")
	flag.Parse()
	if err := run(client.Options{Data: *data, Admin: *admin, Token: os.Getenv("SLUICE_TOKEN"), Retries: -1, Sticky: api.Sticky{Header: *sticky}}, *ca); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o client.Options, ca string) error {
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		o.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		o.TLS.RootCAs.AppendCertsFromPEM(pem)
	}
	c, err := client.New(o)
	if err != nil {
		return err
	}
	defer c.Close()
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var asked call
		if err := json.Unmarshal(line, &asked); err != nil {
			return err
		}
		if err := out.Encode(answer(c, &asked)); err != nil {
			return err
		}
	}
}

// call is what a test asks for. Data of tensors is base64, as encoding/json has bytes.
type call struct {
	Method   string
	Model    string
	Version  int64
	Deadline time.Duration // ns
	Request  client.InferRequest
	Many     []call // inferences that are in flight at the same time
}

// reply is the result of a call, or its error.
type reply struct {
	Result any    `json:"result,omitempty"`
	Many   []any  `json:"many,omitempty"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

func answer(c *client.Client, asked *call) reply {
	if asked.Method == "many" {
		many := make([]any, len(asked.Many))
		var calls sync.WaitGroup
		for i := range asked.Many {
			calls.Go(func() { many[i] = answer(c, &asked.Many[i]) })
		}
		calls.Wait()
		return reply{Many: many}
	}
	ctx := context.Background() //nolint:forbidigo // of a call of this program
	if asked.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, asked.Deadline)
		defer cancel()
	}
	result, err := do(ctx, c, asked)
	if answered, ok := errors.AsType[*client.Error](err); ok {
		return reply{Status: answered.Status, Error: answered.Message}
	}
	if err != nil {
		return reply{Error: err.Error()}
	}
	return reply{Result: result}
}

func do(ctx context.Context, c *client.Client, asked *call) (any, error) {
	switch asked.Method {
	case "live":
		return true, c.Live(ctx)
	case "ready":
		return true, c.Ready(ctx)
	case "model_ready":
		return true, c.ModelReady(ctx, asked.Model, asked.Version)
	case "model_metadata":
		return c.ModelMetadata(ctx, asked.Model, asked.Version)
	case "index":
		return c.Index(ctx)
	case "load":
		return c.Load(ctx, asked.Model)
	case "unload":
		return c.Unload(ctx, asked.Model)
	case "infer":
		return c.Infer(ctx, asked.Model, asked.Request)
	default:
		return nil, errors.New("unknown method " + strconv.Quote(asked.Method))
	}
}
