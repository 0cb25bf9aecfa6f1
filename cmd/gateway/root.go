package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
)

func newRoot(isTerminal func(stream any) bool) *cobra.Command {
	version, _ := build()
	root := &cobra.Command{
		Use:           "gateway",
		Short:         "Serve ONNX models over the Open Inference Protocol",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          onlyCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("gateway {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newServe(isTerminal), newCheck(), newConfig(), newStatus(), newReload(), newModels(), newAliases(), newRoutes(isTerminal), newRollouts(), newShadow(), newDrift(), newLabels(), newCapture(), newSignals(), newRetrain(), newCallers(),
		newProfile(), newJournal(), newInfer(), newReplay(), newHealthcheck(), newVersion())
	return root
}

// onlyCommands returns an error if a command that only groups other commands gets an argument.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Sprintf("unknown command %q for %q%s", args[0], cmd.CommandPath(), suggestion(cmd, args[0], ""))}
}

// flagError adds a suggestion to an error about an unknown flag.
func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	flags := &cobra.Command{} // cobra compares the names of commands
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	return fmt.Errorf("%w%s", err, suggestion(flags, unknown.GetSpecifiedName(), "--"))
}

// suggestion suggests commands below cmd with a name similar to the typed one; "" if there are
// none.
func suggestion(cmd *cobra.Command, typed, prefix string) string {
	const distance = 2 // letters
	cmd.SuggestionsMinimumDistance = distance
	list := cmd.SuggestionsFor(typed)
	if len(list) == 0 {
		return ""
	}
	for i := range list {
		list[i] = prefix + list[i]
	}
	return "; did you mean " + strings.Join(list, " or ") + "?"
}

// connection has the flags for reaching a running gateway.
type connection struct {
	admin, data   string
	ca, cert, key string // files
	timeout       time.Duration
}

// flags adds the flags of a connection to a command and those below it.
func (c *connection) flags(cmd *cobra.Command, timeout time.Duration) {
	f := cmd.PersistentFlags()
	f.StringVar(&c.admin, "admin", "", "the admin address of the gateway (default $SLUICE_ADMIN, else "+client.DefaultAdmin+")")
	f.StringVar(&c.data, "data", "", "the data address of the gateway (default $SLUICE_DATA, else "+client.DefaultData+")")
	f.StringVar(&c.ca, "ca", "", "file of the root certificates for https addresses, PEM (default $SLUICE_CA, else the system's)")
	f.StringVar(&c.cert, "cert", "", "file of the client's certificate for https addresses, PEM (default $SLUICE_CERT)")
	f.StringVar(&c.key, "key", "", "file of the key of --cert, PEM (default $SLUICE_KEY)")
	f.DurationVar(&c.timeout, "timeout", timeout, "how long to wait for an answer")
}

// client returns a client. The token comes only from the environment, since every user of the
// machine can read command lines.
func (c *connection) client() (*client.Client, error) {
	if c.timeout <= 0 {
		return nil, usageError{"--timeout must be more than 0"}
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	cl, err := client.New(client.Options{
		Admin: cmp.Or(c.admin, os.Getenv("SLUICE_ADMIN")),
		Data:  cmp.Or(c.data, os.Getenv("SLUICE_DATA")),
		Token: os.Getenv("SLUICE_TOKEN"),
		Actor: actor(),
		TLS:   config,
	})
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return cl, nil
}

// grpcClient is client for gRPC.
func (c *connection) grpcClient(address string) (*grpcclient.Client, error) {
	if c.timeout <= 0 {
		return nil, usageError{"--timeout must be more than 0"}
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(address, "https://") { // as over HTTP, only https is encrypted
		config = nil
	}
	cl, err := grpcclient.New(grpcclient.Options{Address: address, Token: os.Getenv("SLUICE_TOKEN"), Actor: actor(), TLS: config})
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return cl, nil
}

// open returns a client, and a context that ends with the timeout.
func (c *connection) open(cmd *cobra.Command) (*client.Client, context.Context, context.CancelFunc, error) {
	cl, err := c.client()
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	return cl, ctx, func() { cancel(); cl.Close() }, nil
}

// oneModel checks that exactly one argument names a model.
func oneModel(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{"expected one model: " + cmd.CommandPath() + " MODEL"}
	}
	return nil
}

// oneRoute checks that exactly one argument names a route.
func oneRoute(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{"expected one route: " + cmd.CommandPath() + " ROUTE"}
	}
	return nil
}

// completeModels completes the names of the gateway's models.
func (c *connection) completeModels(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return c.complete(cmd, args, func(ctx context.Context, cl *client.Client) ([]string, error) {
		models, err := cl.Models(ctx)
		var names []string
		for _, m := range models {
			if len(names) == 0 || names[len(names)-1] != m.Name {
				names = append(names, m.Name)
			}
		}
		return names, err
	})
}

// completeRoutes completes the names of routes, also of implied ones.
func (c *connection) completeRoutes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return c.complete(cmd, args, func(ctx context.Context, cl *client.Client) ([]string, error) {
		routes, err := cl.Routes(ctx)
		names := make([]string, len(routes))
		for i := range routes {
			names[i] = routes[i].Name
		}
		return names, err
	})
}

// complete completes the first argument from a list of names. It completes nothing after an error,
// since a completion cannot show one.
func (c *connection) complete(
	cmd *cobra.Command, args []string, list func(context.Context, *client.Client) ([]string, error),
) ([]string, cobra.ShellCompDirective) {
	cl, ctx, done, err := c.open(cmd)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer done()
	names, err := list(ctx, cl)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
