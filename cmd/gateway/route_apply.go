package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
)

func newRouteApply(conn *connection, out *output, isTerminal func(stream any) bool) *cobra.Command {
	e := newRouteEditor(conn, out, isTerminal)
	var file string
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Set routes to the state in a file",
		Long: `Set routes to the state in a file of JSON or YAML, one route after the other. The
file can have routes and lists of routes, as routes get, list and set print them with -o
json or yaml. It can also have events of the journal: the last event of each route counts,
and if it deleted the route, the command deletes it.

If a route in the file has a revision, the change is made only to that revision, as for
routes set -f. The revision of an event does not count. Implied routes in a list are left
out.`,
		Example: `  gateway routes get iris -o yaml > iris.yaml; edit it; gateway routes apply -f iris.yaml
  gateway journal --subject routes/iris --until 2h -o json | gateway routes apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := e.out.check(); err != nil {
				return err
			}
			if file == "" {
				return usageError{"expected a file: gateway routes apply -f FILE; - is standard input"}
			}
			return applyRoutes(cmd, &e, file)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file; - for standard input")
	e.flagsOf(cmd)
	return cmd
}

func applyRoutes(cmd *cobra.Command, e *routeEditor, file string) error {
	docs, implied, err := readRoutes(file, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if implied > 0 {
		cmd.PrintErrf("note: %d implied routes are left out\n", implied)
	}
	if len(docs) == 0 {
		return fmt.Errorf("%s has no routes", file)
	}
	if err := e.author.check(cmd); err != nil {
		return err
	}
	cl, err := e.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	for i, doc := range docs {
		if i > 0 && e.out.format != formName {
			separator := map[string]string{formYAML: "---"}[e.out.format]
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), separator); err != nil {
				return err
			}
		}
		err := e.edit(cmd, cl, doc.name, doc.revision, func(base api.Route) (*api.Route, error) {
			if doc.route == nil {
				return nil, nil //nolint:nilnil // it is deleted
			}
			next := *doc.route
			if base.Revision > 0 && next.Seed == "" {
				next.Seed = base.Seed
			}
			next.Complete()
			return &next, nil
		})
		if err != nil {
			return fmt.Errorf("route '%s': %w; %d of %d routes were applied before this one", doc.name, err, i, len(docs))
		}
	}
	return nil
}
