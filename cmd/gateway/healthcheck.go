package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newHealthcheck() *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check whether a gateway is ready: exit code 0 if it is, else 1",
		Long:  "Check whether a gateway is ready. The exit code is 0 if it is, else 1. The command asks the admin port, or the data port if --data is given.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			ready := c.AdminReady
			if cmd.Flags().Changed("data") {
				ready = c.Ready
			}
			if err := ready(ctx); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return err
		},
	}
	conn.flags(cmd, 5*time.Second)
	return cmd
}
