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

const routeSetHelp = `Change a route: the command reads the route, makes the changes of the
flags, and writes it back. If the route was changed in the meantime, the command shows how
and asks whether to continue. Without a terminal it fails, unless --yes is given. On a
terminal it also asks before a change that moves more than half of the slots.

The command prints the old and the new state, with the requests and errors so far, and the
number of slots (of 10,000) that moved.

Shares are written 20%, 2.5% or, in basis points, 2000bp. Instead of a version, @champion
names the version of an alias of the model; the route then moves with the alias.

--stable, --canary and --control each replace the variants of that role. A role without a
flag does not change. The stable version gets the rest: --canary 2=20% takes its share from
the stable version, a smaller share gives back the difference, and --canary none gives back
all. --canary 2=0% keeps the canary, without traffic.

--stable VERSION promotes that version if it is a canary: it gets all requests, and the
canaries and controls are removed unless flags name them. If VERSION is another version, it
replaces the stable one.

--shadow replaces the shadows. A shadow that becomes a variant is removed from the shadows.

-f takes the whole route as JSON, as routes get -o json prints it. If it has a revision, the
change is made only to that revision.`

const routeSetExample = `  gateway routes set iris --canary 2=5% --reason "first users"
  gateway routes set iris --canary 2=20% --reason "no errors in a day"
  gateway routes set iris --stable 2 --reason "canary passed"
  gateway routes set iris --stable @champion --canary @challenger=5%
  gateway routes set iris --shadow 3=10% --sticky header:X-User-Id --dry-run`

// routeSet is a call of gateway routes set.
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

// change returns the change that the command line asks for as a function of any route, and the
// revision that it is made to, nil if no file gives one.
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
		return nil, nil, usageError{"expected a change: gateway routes set ROUTE --canary 2=20%, or -f FILE; see --help"}
	case s.file == "":
		edit, err := s.flags.parse()
		if err != nil {
			return nil, nil, err
		}
		return edit.Apply, nil, nil
	case edits > 0:
		return nil, nil, usageError{"-f sets the whole route; do not give flags that change parts of it"}
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
		Revision *int64 `json:"revision"` // hides the field of the route
		api.Route
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return api.Route{}, nil, fmt.Errorf("%s is not a valid route: %w", file, inJSON(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return api.Route{}, nil, fmt.Errorf("%s has more text after the route", file)
	}
	if doc.Name != "" && doc.Name != name {
		return api.Route{}, nil, fmt.Errorf("%s has the route '%s', not '%s'", file, doc.Name, name)
	}
	doc.Name = name
	doc.Complete()
	return doc.Route, doc.Revision, nil
}

// inJSON describes a decoding error in terms of JSON, without types of Go.
func inJSON(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := strings.TrimPrefix(e.Field, "Route.") // the struct is embedded
		return fmt.Errorf("%s: a JSON %s is not valid here", cmp.Or(field, "the document"), e.Value)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	return err
}
