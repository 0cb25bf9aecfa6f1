package main

import (
	"os"
	"os/user"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
)

// author says why a change is made, for the journal.
type author struct{ reason string }

func (a *author) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.reason, "reason", "", "why; it goes into the journal with $SLUICE_ACTOR, or else the name of the user")
}

func (a *author) check(cmd *cobra.Command) error {
	switch {
	case strings.ContainsFunc(a.reason, unicode.IsControl):
		return usageError{"--reason: expected one line of text"}
	case strings.TrimSpace(a.reason) == "":
		cmd.PrintErrln("note: without --reason the journal cannot say why")
	}
	return nil
}

// options returns what a change of a revision bears.
func (a *author) options(revision int64) client.EditOptions {
	return client.EditOptions{Revision: revision, Reason: strings.TrimSpace(a.reason)}
}

// actor returns who types. The gateway takes it for what the caller says, unless a
// token shows another name.
func actor() string {
	if name := os.Getenv("SLUICE_ACTOR"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil { // a container may know no name; the gateway has one for nobody
		return ""
	}
	return u.Username
}
