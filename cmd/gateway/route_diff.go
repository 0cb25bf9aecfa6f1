package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
)

// routeDifference is a route that differs from a file. Changes are the changes that make the
// gateway's state the file's.
type routeDifference struct {
	Route   string   `json:"route"`
	Changes []string `json:"changes"`
}

func newRouteDiff(conn *connection, out *output) *cobra.Command {
	var file, configuration string
	cmd := &cobra.Command{
		Use:   "diff (-c FILE | -f FILE)",
		Short: "Show the differences between routes and a file",
		Long: `Show the changes that would make the routes equal to those in a file: with -c a
configuration file, which should then have every declared route, or with -f a file as for
routes apply. The exit code is 1 if they differ.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			var docs []routeDocument
			var err error
			switch {
			case (file == "") == (configuration == ""):
				return usageError{"expected one file: -c for a configuration, or -f for routes"}
			case file != "":
				docs, _, err = readRoutes(file, cmd.InOrStdin())
			default:
				docs, err = configuredRoutes(configuration)
			}
			if err != nil {
				return err
			}
			return diffRoutes(cmd, conn, out, docs, configuration != "")
		},
	}
	cmd.Flags().StringVarP(&configuration, "config", "c", "", "a configuration file")
	cmd.Flags().StringVarP(&file, "file", "f", "", "a file of routes; - for standard input")
	return cmd
}

func configuredRoutes(file string) ([]routeDocument, error) {
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	return documentsOf(cfg), nil
}

// documentsOf returns the routes of a configuration, sorted by name.
func documentsOf(cfg *config.Config) (docs []routeDocument) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		route := cfg.Routes[name].Document(name)
		docs = append(docs, routeDocument{name: name, route: &route})
	}
	return docs
}

// diffRoutes prints the differences between routes and documents. If whole, a route without a
// document is a difference too.
func diffRoutes(cmd *cobra.Command, conn *connection, out *output, docs []routeDocument, whole bool) error {
	cl, ctx, done, err := conn.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	routes, err := cl.Routes(ctx)
	if err != nil {
		return err
	}
	differences := differencesOf(routes, docs, whole)
	err = out.print(cmd.OutOrStdout(), differences, func(b *strings.Builder) {
		for _, d := range differences {
			fmt.Fprintf(b, "%s: %s\n", oneLine(d.Route), strings.Join(d.Changes, ", "))
		}
	})
	if err == nil && len(differences) > 0 {
		err = fmt.Errorf("%d routes differ from the file", len(differences))
	}
	return err
}

func differencesOf(routes []api.Route, docs []routeDocument, whole bool) []routeDifference {
	live := map[string]*api.Route{}
	for i := range routes {
		if routes[i].Revision > 0 {
			live[routes[i].Name] = &routes[i]
		}
	}
	list := []routeDifference{}
	for _, doc := range docs {
		now := live[doc.name]
		delete(live, doc.name)
		if doc.route != nil {
			if now != nil && doc.route.Seed == "" { // without a seed in the file the route keeps its own
				doc.route.Seed = now.Seed
			}
			doc.route.Complete()
		}
		if texts := changes(now, doc.route); len(texts) > 0 {
			list = append(list, routeDifference{doc.name, texts})
		}
	}
	if whole {
		for _, name := range slices.Sorted(maps.Keys(live)) {
			list = append(list, routeDifference{name, []string{"not in the file: " + splitText(live[name].Variants)}})
		}
	}
	return list
}
