package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
)

// show asks a gateway for a document and prints it in the form of out, which for people is what text
// writes.
func show[T any](
	cmd *cobra.Command, conn *connection, out *output,
	ask func(ctx context.Context, cl *client.Client) (T, error), text func(b *strings.Builder, doc T),
) error {
	if err := out.check(); err != nil {
		return err
	}
	cl, ctx, done, err := conn.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	doc, err := ask(ctx, cl)
	if err != nil {
		return err
	}
	return out.print(cmd.OutOrStdout(), doc, func(b *strings.Builder) { text(b, doc) })
}
