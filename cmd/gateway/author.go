package main

import (
	"os"
	"os/user"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
)

// author is who makes a change, and why, as the journal keeps it.
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

// options returns what a change of a revision bears. The gateway takes the name
// for what the caller says, unless a token shows another.
func (a *author) options(revision int64) client.EditOptions {
	name := os.Getenv("SLUICE_ACTOR")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	return client.EditOptions{Revision: revision, Actor: name, Reason: strings.TrimSpace(a.reason)}
}
