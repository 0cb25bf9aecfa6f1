package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
)

const routeSetHelp = `Change a route: read it, change what the flags say, and write it back unless
somebody else changed it meanwhile. It prints what was and what is, with the
requests and errors so far, and how many of the 10,000 slots moved.

Shares are written 20%, 2.5% or, in basis points, 2000bp.

--stable, --canary and --control each say what the variants of that role are from
now on; a role without a flag stays as it is. What the others leave goes to the
stable version, so that --canary 2=20% takes its share from it, a smaller share
gives back, and --canary none gives back all. --canary 2=0% keeps the canary,
without traffic.

--stable VERSION, where that version is a canary, promotes it: it gets everything,
and the canaries and controls go unless flags name them. --stable of any other
version puts it in the place of the stable one.

--shadow says what the shadows are from now on. A shadow that becomes a variant is
no shadow any more.

-f takes the whole route as JSON, as routes get -o json prints it. A revision in
it is the one that the change is made to.

If the route was changed meanwhile, the command shows how and asks whether to make
the change nevertheless; without a terminal it fails, unless --yes is given. On a
terminal it also asks before a change that moves more than half of the slots.`

const routeSetExample = `  gateway routes set iris --canary 2=5% --reason "first users"
  gateway routes set iris --canary 2=20% --reason "no errors in a day"
  gateway routes set iris --stable 2 --reason "canary passed"
  gateway routes set iris --shadow 3=10% --sticky header:X-User-Id --dry-run`

// routeSet is one call of gateway routes set.
type routeSet struct {
	routeEditor

	flags routeFlags
	file  string
}

func newRouteSet(conn *connection, out *output, isTerminal func(stream any) bool) *cobra.Command {
	s := routeSet{routeEditor: newRouteEditor(conn, out, isTerminal)}
	cmd := &cobra.Command{
		Use: "set ROUTE", Short: "Change a route", Long: routeSetHelp, Example: routeSetExample,
		Args: oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0]) },
	}
	s.flags.add(cmd.Flags())
	cmd.Flags().StringVarP(&s.file, "file", "f", "", "a file with the whole route as JSON; - for standard input")
	s.flagsOf(cmd)
	return cmd
}

func (s *routeSet) run(cmd *cobra.Command, name string) error {
	if err := s.out.check(); err != nil {
		return err
	}
	apply, revision, err := s.change(cmd, name)
	if err != nil {
		return err
	}
	if err := s.author.check(cmd); err != nil {
		return err
	}
	cl, err := s.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	return s.edit(cmd, cl, name, revision, func(base api.Route) (*api.Route, error) {
		next, err := apply(base)
		return &next, err
	})
}

// change returns what the command line asks for as a change of any route, and the
// revision that it is meant for where a file says one.
func (s *routeSet) change(cmd *cobra.Command, name string) (apply func(api.Route) (api.Route, error), revision *int64, err error) {
	edits := 0
	for _, flag := range s.flags.names() {
		if cmd.Flags().Changed(flag) {
			edits++
			if v := cmd.Flags().Lookup(flag).Value; v.Type() == "string" && v.String() == "" {
				return nil, nil, usageError{"--" + flag + " is empty"}
			}
		}
	}
	switch {
	case s.file == "" && edits == 0:
		return nil, nil, usageError{"say what to change: gateway routes set ROUTE --canary 2=20%, or -f FILE; --help has the rest"}
	case s.file == "":
		edit, err := s.flags.parse()
		if err != nil {
			return nil, nil, err
		}
		return edit.Apply, nil, nil
	case edits > 0:
		return nil, nil, usageError{"-f takes the whole route; give no flags that change it beside"}
	}
	route, revision, err := readRoute(s.file, cmd.InOrStdin(), name)
	return func(api.Route) (api.Route, error) { return route, nil }, revision, err
}

// readRoute reads a route from a file.
func readRoute(file string, in io.Reader, name string) (route api.Route, revision *int64, err error) {
	var text []byte
	if file == "-" {
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return api.Route{}, nil, err
	}
	var doc struct {
		Revision *int64 `json:"revision"` // shadows the route's own
		api.Route
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return api.Route{}, nil, fmt.Errorf("%s holds no route: %w", file, inJSON(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return api.Route{}, nil, fmt.Errorf("%s goes on after the route", file)
	}
	if doc.Name != "" && doc.Name != name {
		return api.Route{}, nil, fmt.Errorf("%s holds the route '%s', not '%s'", file, doc.Name, name)
	}
	doc.Name = name
	doc.Complete()
	return doc.Route, doc.Revision, nil
}

// inJSON says what is wrong with a document in the words of JSON where the error
// names types of Go.
func inJSON(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := strings.TrimPrefix(e.Field, "Route.") // it is embedded
		return fmt.Errorf("%s: there is no place for a JSON %s", cmp.Or(field, "the document"), e.Value)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	return err
}
