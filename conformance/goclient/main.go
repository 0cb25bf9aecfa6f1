// Command goclient lets the tests in conformance call a gateway with the Go clients. It reads a call
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
	"sluice.io/sluice/client/grpcclient"
)

// gateway is what the clients of both protocols have.
type gateway interface {
	Live(ctx context.Context) error
	Ready(ctx context.Context) error
	ModelReady(ctx context.Context, model string, version int64) error
	ModelMetadata(ctx context.Context, model string, version int64) (client.Metadata, error)
	ModelConfig(ctx context.Context, model string, version int64) (client.ModelConfig, error)
	Statistics(ctx context.Context, model string, version int64) ([]client.Statistics, error)
	Index(ctx context.Context) ([]client.IndexEntry, error)
	Infer(ctx context.Context, model string, r client.InferRequest) (*client.InferResult, error)
}

func main() {
	data := flag.String("data", "", "address of the data port")
	admin := flag.String("admin", "", "address of the admin port")
	grpc := flag.String("grpc", "", "address of the gRPC port, to call that instead")
	ca := flag.String("ca", "", "file of root certificates, PEM")
	cert := flag.String("cert", "", "file of the client's certificate, PEM")
	key := flag.String("key", "", "file of its key, PEM")
	sticky := flag.String("sticky", "", "header of sticky keys")
	flag.Parse()
	if err := run(*data, *admin, *grpc, *sticky, files{*ca, *cert, *key}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// files are the paths of what TLS needs. Empty ones are not used.
type files struct{ ca, cert, key string }

// load returns the configuration, or nil if there is no CA.
func (f files) load() (*tls.Config, error) {
	if f.ca == "" {
		return nil, nil //nolint:nilnil // TLS is off
	}
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func run(data, admin, grpc, sticky string, secure files) error {
	config, err := secure.load()
	if err != nil {
		return err
	}
	key := os.Getenv("SLUICE_TOKEN")
	if grpc != "" {
		c, err := grpcclient.New(grpcclient.Options{Address: grpc, Token: key, TLS: config, Retries: -1, Sticky: api.Sticky{Header: sticky}})
		if err != nil {
			return err
		}
		defer c.Close() //nolint:errcheck // the program ends
		return serve(&caller{gateway: c, load: c.Load, unload: c.Unload, stream: c.Stream})
	}
	c, err := client.New(client.Options{Data: data, Admin: admin, Token: key, TLS: config, Retries: -1, Sticky: api.Sticky{Header: sticky}})
	if err != nil {
		return err
	}
	defer c.Close()
	load := func(ctx context.Context, model string) error {
		_, err := c.Load(ctx, model)
		return err
	}
	unload := func(ctx context.Context, model string) error {
		_, err := c.Unload(ctx, model)
		return err
	}
	return serve(&caller{gateway: c, load: load, unload: unload})
}

// caller makes calls with one of the clients.
type caller struct {
	gateway

	load, unload func(ctx context.Context, model string) error
	stream       func(ctx context.Context, o grpcclient.StreamOptions) (*grpcclient.Stream, error)
}

// serve answers the calls of standard input on standard output.
func serve(c *caller) error {
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
		if err := out.Encode(c.answer(&asked)); err != nil {
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
	Cancel   bool          // once the call is on its way
	Request  client.InferRequest
	Many     []call // inferences that are in flight at the same time
}

// reply is the result of a call, or its error.
type reply struct {
	Result any     `json:"result,omitempty"`
	Many   []reply `json:"many,omitempty"`
	Status int     `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
}

func (c *caller) answer(asked *call) reply {
	ctx := context.Background() //nolint:forbidigo // of a call of this program
	if asked.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, asked.Deadline)
		defer cancel()
	}
	if asked.Cancel {
		canceled, cancel := context.WithCancel(ctx)
		time.AfterFunc(50*time.Millisecond, cancel)
		ctx = canceled
	}
	if asked.Many != nil {
		return c.many(ctx, asked)
	}
	result, err := c.do(ctx, asked)
	return replyOf(result, err)
}

func replyOf(result any, err error) reply {
	if answered, ok := errors.AsType[*client.Error](err); ok {
		return reply{Status: answered.Status, Error: answered.Message}
	}
	if err != nil {
		return reply{Error: err.Error()}
	}
	return reply{Result: result}
}

// many makes inferences at the same time, on one stream if that is asked for.
func (c *caller) many(ctx context.Context, asked *call) reply {
	infer := c.Infer
	if asked.Method == "stream" {
		stream, err := c.stream(ctx, grpcclient.StreamOptions{})
		if err != nil {
			return replyOf(nil, err)
		}
		defer stream.Close() //nolint:errcheck // all answers have come
		infer = stream.Infer
	}
	many := make([]reply, len(asked.Many))
	var calls sync.WaitGroup
	for i := range asked.Many {
		calls.Go(func() {
			result, err := infer(ctx, asked.Many[i].Model, asked.Many[i].Request)
			many[i] = replyOf(result, err)
		})
	}
	calls.Wait()
	return reply{Many: many}
}

func (c *caller) do(ctx context.Context, asked *call) (any, error) {
	switch asked.Method {
	case "live":
		return true, c.Live(ctx)
	case "ready":
		return true, c.Ready(ctx)
	case "model_ready":
		return true, c.ModelReady(ctx, asked.Model, asked.Version)
	case "model_metadata":
		return c.ModelMetadata(ctx, asked.Model, asked.Version)
	case "model_config":
		return c.ModelConfig(ctx, asked.Model, asked.Version)
	case "statistics":
		return c.Statistics(ctx, asked.Model, asked.Version)
	case "index":
		return c.Index(ctx)
	case "load":
		return true, c.load(ctx, asked.Model)
	case "unload":
		return true, c.unload(ctx, asked.Model)
	case "infer":
		return c.Infer(ctx, asked.Model, asked.Request)
	default:
		return nil, errors.New("unknown method " + strconv.Quote(asked.Method))
	}
}
