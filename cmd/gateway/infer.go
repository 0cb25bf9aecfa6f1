package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
)

// maxShownBytes is the max number of bytes of a generated request that is shown.
const maxShownBytes = 2000

// inferCommand is a call of gateway infer.
type inferCommand struct {
	conn    connection
	model   string
	version int64
	example bool
	rows    int64
	json    string
	file    string
	grpc    bool
	address string // of gRPC
}

// inferrer is the client of either protocol.
type inferrer interface {
	ModelMetadata(ctx context.Context, model string, version int64) (client.Metadata, error)
	InferJSON(ctx context.Context, model string, version int64, body []byte) (client.Prediction, error)
}

func newInfer() *cobra.Command {
	var c inferCommand
	cmd := &cobra.Command{
		Use:   "infer MODEL (--example | --json TEXT | --file FILE)",
		Short: "Send a request to a running gateway and print the answer",
		Long: `Send a request to a running gateway and print the answer.

--example makes a valid request from the model's metadata. It is shown on standard error, so
that standard output has only the answer.

--grpc sends the same request over gRPC, and prints the answer in the same form. Data of FP16 and
BF16 can only be sent and printed over HTTP.`,
		Args:              oneModel,
		ValidArgsFunction: c.conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.model = args[0]
			return c.run(cmd)
		},
	}
	c.conn.flags(cmd, time.Minute)
	f := cmd.Flags()
	f.Int64Var(&c.version, "version", 0, "the version to ask for (default: the gateway picks)")
	f.BoolVar(&c.example, "example", false, "make a valid request, show it and send it")
	f.Int64Var(&c.rows, "rows", 1, "rows of the example, if the model takes a variable number of rows")
	f.StringVar(&c.json, "json", "", "the request's JSON body")
	f.StringVar(&c.file, "file", "", "a file with the request's JSON body; - for standard input")
	f.BoolVar(&c.grpc, "grpc", false, "send the request over gRPC")
	f.StringVar(&c.address, "grpc-address", "", "the gRPC address of the gateway (default $SLUICE_GRPC, else "+grpcclient.DefaultAddress+"); implies --grpc")
	return cmd
}

func (c *inferCommand) check(cmd *cobra.Command) error {
	bodies := 0
	for _, given := range []bool{c.example, cmd.Flags().Changed("json"), cmd.Flags().Changed("file")} {
		if given {
			bodies++
		}
	}
	switch {
	case bodies != 1:
		return usageError{"give one of --example, --json and --file"}
	case c.rows < 1:
		return usageError{"--rows must be 1 or more"}
	case c.version < 0:
		return usageError{"--version must be 1 or more"}
	}
	return nil
}

func (c *inferCommand) run(cmd *cobra.Command) error {
	if err := c.check(cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), c.conn.timeout)
	defer cancel()
	if c.grpc || c.address != "" {
		address := cmp.Or(c.address, os.Getenv("SLUICE_GRPC"), grpcclient.DefaultAddress)
		cl, err := c.conn.grpcClient(address)
		if err != nil {
			return err
		}
		defer cl.Close() //nolint:errcheck // nothing is lost
		return c.ask(ctx, cmd, cl, "ModelInfer "+address)
	}
	cl, err := c.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	return c.ask(ctx, cmd, cl, "POST "+cl.InferURL(c.model, c.version))
}

// ask sends the request and prints the answer. to is what it calls.
func (c *inferCommand) ask(ctx context.Context, cmd *cobra.Command, cl inferrer, to string) error {
	body, err := c.body(ctx, cl, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if c.example {
		cmd.PrintErrf("%s\n%s\n\n", to, shown(body))
	}
	answer, err := cl.InferJSON(ctx, c.model, c.version, body)
	if err != nil {
		return err
	}
	if c.example {
		cmd.PrintErrln(servedText(answer.Header))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", answer.Body)
	return err
}

// body returns the request to send.
func (c *inferCommand) body(ctx context.Context, cl inferrer, in io.Reader) ([]byte, error) {
	switch {
	case c.example:
		meta, err := cl.ModelMetadata(ctx, c.model, c.version)
		if err != nil {
			return nil, err
		}
		return exampleBody(meta, c.rows)
	case c.file == "-":
		return io.ReadAll(in)
	case c.file != "":
		return os.ReadFile(c.file)
	default:
		return []byte(c.json), nil
	}
}

func shown(body []byte) string {
	if len(body) <= maxShownBytes {
		return string(body)
	}
	return fmt.Sprintf("%s… (%d bytes in all)", body[:maxShownBytes], len(body))
}

// servedText describes what served a request: "version 2, route iris@7 (sticky)".
func servedText(h http.Header) string {
	return fmt.Sprintf("version %s, route %s (%s)", h.Get("Sluice-Version"), h.Get("Sluice-Route"), h.Get("Sluice-Reason"))
}
