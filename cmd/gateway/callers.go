package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/config"
)

func newCallers() *cobra.Command {
	var (
		conn connection
		out  output
	)
	list := newCallersList(&conn, &out)
	cmd := &cobra.Command{
		Use:   "callers",
		Short: "Show who may send requests, and make keys",
		Args:  onlyCommands,
		RunE:  list.RunE,
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.AddCommand(list, newCallersDescribe(&conn, &out), newCallersNew(), newCallersHash())
	return cmd
}

func newCallersList(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List who may send requests, and what each may do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Caller, error) { return cl.Callers(ctx) }, printCallers)
		},
	}
}

func newCallersDescribe(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "describe NAME",
		Short: "Show the rights and limits of a caller",
		Args:  oneCaller,
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.Caller, error) { return cl.Caller(ctx, args[0]) }, printCaller)
		},
	}
}

func oneCaller(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{"expected one caller: " + cmd.CommandPath() + " NAME"}
	}
	return nil
}

// keyBytes is the size of a new key: 256 random bits, which nobody guesses.
const keyBytes = 32

func newCallersNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new NAME",
		Short: "Make a key, and print it once with its entry for the configuration",
		Long: `Make a random key for a caller, without a gateway. The command prints the key once, on
standard error, for the person who uses it, and on standard output the entry for the
configuration, which has only the hash of the key.`,
		Args: oneCaller,
		RunE: func(cmd *cobra.Command, args []string) error {
			var random [keyBytes]byte
			_, _ = rand.Read(random[:]) // it never fails
			key := "sluice_" + base64.RawURLEncoding.EncodeToString(random[:])
			entry := fmt.Sprintf("callers:\n  %s:\n    keys: [%q]\n    allow: [{models: [\"*\"], actions: [infer, metadata]}]\n", args[0], config.HashKey(key))
			if err := config.CheckEntry(entry); err != nil {
				return usageError{err.Error()}
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "The key of %s, which is not shown again:\n\n  %s\n\nFor the configuration:\n\n", args[0], key)
			if err != nil {
				return err // nobody would know the key
			}
			_, err = io.WriteString(cmd.OutOrStdout(), entry)
			return err
		},
	}
}

func newCallersHash() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Read a key from standard input and print its hash for the configuration",
		Long: `Read a key from standard input, one line, and print its hash, as keys of a caller are
written in the configuration. Use random keys of at least 16 characters: others can be
guessed from their hash. "gateway callers new" makes them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			const most = 64 << 10
			text, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), most)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			key := strings.TrimRight(text, "\r\n")
			if err := config.CheckKey(key); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), config.HashKey(key))
			return err
		},
	}
}

func printCallers(b *strings.Builder, list []api.Caller) {
	fmt.Fprintln(b, "CALLER\tCREDENTIALS\tGROUPS\tMAY\tLIMITS")
	for i := range list {
		c := &list[i]
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%d\n", oneLine(c.Name), credentialsText(&c.Credentials), orDash(oneLine(strings.Join(c.Groups, ", "))),
			orDash(oneLine(strings.Join(each(c.Allow, ruleText), "; "))), len(c.Limits))
	}
}

func printCaller(b *strings.Builder, c api.Caller) {
	line(b, "Caller", oneLine(c.Name))
	line(b, "Credentials", credentialsText(&c.Credentials))
	line(b, "Groups", orDash(oneLine(strings.Join(c.Groups, ", "))))
	for i := range c.Allow {
		line(b, "May", oneLine(ruleText(&c.Allow[i])))
	}
	for i := range c.Limits {
		line(b, "Limit", oneLine(limitText(&c.Limits[i])))
	}
	for _, code := range slices.Sorted(maps.Keys(c.Requests)) {
		line(b, "Requests "+oneLine(code), strconv.FormatInt(c.Requests[code], 10))
	}
	if c.Limited > 0 {
		line(b, "Refused by a limit", strconv.FormatInt(c.Limited, 10))
	}
}

// credentialsText says how many credentials a caller has.
func credentialsText(c *api.CallerCredentials) string {
	var list []string
	for _, kind := range []struct {
		n         int
		one, many string
	}{{c.Keys, "key", "keys"}, {c.Certificates, "certificate", "certificates"}, {c.Tokens, "token subject", "token subjects"}} {
		switch {
		case kind.n == 1:
			list = append(list, "1 "+kind.one)
		case kind.n > 1:
			list = append(list, fmt.Sprintf("%d %s", kind.n, kind.many))
		}
	}
	return orDash(strings.Join(list, ", "))
}

func ruleText(r *api.CallerRule) string {
	return orDash(strings.Join(r.Actions, ", ")) + " on " + strings.Join(r.Models, ", ")
}

func limitText(l *api.CallerLimit) string {
	var list []string
	if l.RequestsPerSecond > 0 {
		list = append(list, fmt.Sprintf("%g requests/s (%d at once)", l.RequestsPerSecond, l.Burst))
	}
	if l.RowsPerSecond > 0 {
		list = append(list, fmt.Sprintf("%g rows/s (%d at once)", l.RowsPerSecond, l.RowsBurst))
	}
	if l.BytesInFlight > 0 {
		list = append(list, fmt.Sprintf("%d bytes in flight", l.BytesInFlight))
	}
	return strings.Join(list, ", ") + " on " + strings.Join(l.Models, ", ")
}
