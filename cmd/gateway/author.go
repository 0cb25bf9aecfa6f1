package main

import (
	"os"
	"os/user"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"sluice.io/sluice/client"
)

// author gives the reason of a change, for the journal.
type author struct{ reason string }

func (a *author) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.reason, "reason", "", "the reason of the change; the journal keeps it with $SLUICE_ACTOR or, if that is not set, the name of the user")
}

func (a *author) check(cmd *cobra.Command) error {
	switch {
	case strings.ContainsFunc(a.reason, unicode.IsControl):
		return usageError{"--reason: expected one line of text"}
	case strings.TrimSpace(a.reason) == "":
		cmd.PrintErrln("note: the journal will have no reason for this change; give one with --reason")
	}
	return nil
}

// options returns the options of a change to a route at a revision.
func (a *author) options(revision int64) client.EditOptions {
	return client.EditOptions{Revision: revision, Reason: strings.TrimSpace(a.reason)}
}

// actor returns the name of the user who runs the command, "" if it is not known. The gateway takes
// it as a claim, unless a token proves another name.
func actor() string {
	if name := os.Getenv("SLUICE_ACTOR"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil { // a container may have no user names; the gateway then uses its name for anonymous callers
		return ""
	}
	return u.Username
}
