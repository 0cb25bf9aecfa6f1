package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
)

// The welcome looks at this many models for one with a short example.
const (
	maxWelcomeModels = 32
	welcomeTimeout   = 10 * time.Second
)

// welcome tells whoever started a gateway where it listens and what to type
// first.
type welcome struct {
	out    io.Writer
	tokens map[string]config.Secret // of the admin port
	at     app.Addresses            // set before ready is closed
	ready  chan struct{}
}

// run prints the welcome once the gateway is ready, unless ctx ends before.
func (w *welcome) run(ctx context.Context) {
	select {
	case <-w.ready:
	case <-ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(ctx, welcomeTimeout)
	defer cancel()
	_, _ = io.WriteString(w.out, w.text(ctx)) // nobody may be reading it
}

func (w *welcome) text(ctx context.Context) string {
	options := client.Options{Data: reachable(w.at.HTTP), Admin: reachable(w.at.Admin)}
	for _, name := range slices.Sorted(maps.Keys(w.tokens)) {
		options.Token = w.tokens[name].Reveal()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Sluice is ready.\n  HTTP   %s\n  admin  %s\n\nTry:\n", options.Data, options.Admin)
	commands := []string{"curl -s " + options.Data + "/v2", "curl -s " + options.Data + "/v2/health/ready"}
	if c, err := client.New(options); err == nil {
		defer c.Close()
		if tried := tryModel(ctx, c); tried != nil {
			commands = tried
		}
	}
	for _, command := range append(commands, "curl -s "+options.Admin+"/metrics") {
		b.WriteString("  " + command + "\n")
	}
	return b.String()
}

// tryModel returns commands that ask for the metadata of the model with the
// shortest example and send it that; nil where no model is ready or may be seen.
func tryModel(ctx context.Context, c *client.Client) []string {
	models, err := c.Models(ctx)
	if err != nil {
		return nil
	}
	var model string
	var shortest []byte
	for _, name := range readyNames(models) {
		meta, err := c.Metadata(ctx, name, 0)
		if err != nil {
			continue
		}
		body, err := exampleBody(meta, 1)
		if err == nil && (shortest == nil || len(body) < len(shortest)) {
			model, shortest = name, body
		}
	}
	if shortest == nil || len(shortest) > maxShownBytes {
		return nil
	}
	infer := c.InferURL(model, 0)
	return []string{
		"curl -s " + quote(strings.TrimSuffix(infer, "/infer")),
		"curl -s " + quote(infer) + " -d " + quote(string(shortest)),
	}
}

func readyNames(models []api.ModelStatus) []string {
	var names []string
	for i := range models {
		if m := &models[i]; m.State == api.StateReady && !slices.Contains(names, m.Name) && len(names) < maxWelcomeModels {
			names = append(names, m.Name)
		}
	}
	return names
}

// reachable returns the URL under which this machine reaches an address: one
// that listens everywhere is no address to connect to.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return "http://localhost:" + strconv.Itoa(tcp.Port)
	}
	return "http://" + a.String()
}

// quote makes a word of a shell out of any text.
func quote(s string) string {
	if strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func special(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:%", r)
}
