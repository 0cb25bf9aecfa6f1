package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
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
	"sluice.io/sluice/internal/infer"
)

// The welcome shows the model with the shortest example among this many.
const (
	maxWelcomeModels = 32
	// maxWelcomeTroubles is the max number of problems in the welcome.
	maxWelcomeTroubles = 10
	welcomeTimeout     = 10 * time.Second
)

// welcome prints the addresses of a gateway that was started on a terminal, and the commands to try
// first.
type welcome struct {
	out     io.Writer
	program string // the path with which the program was called
	config  *config.Config
	at      app.Addresses // set before ready is closed
	ready   chan struct{}
}

// run prints the welcome when the gateway is ready, unless ctx ends before.
func (w *welcome) run(ctx context.Context) {
	select {
	case <-w.ready:
	case <-ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(ctx, welcomeTimeout)
	defer cancel()
	_, _ = io.WriteString(w.out, w.text(ctx)) // failing to print it does not matter
}

func (w *welcome) text(ctx context.Context) string {
	options := client.Options{Data: w.dataURL(), Admin: w.adminURL()}
	if w.config.Server.HTTP.TLS.Enabled() || w.config.Admin.TLS.Enabled() {
		options.TLS = &tls.Config{InsecureSkipVerify: true} // both addresses are of this process
	}
	for _, name := range slices.Sorted(maps.Keys(w.config.Admin.Tokens)) {
		options.Token = w.config.Admin.Tokens[name].Reveal()
	}
	commands := []string{"curl -s " + options.Data + "/v2", "curl -s " + options.Data + "/v2/health/ready"}
	var operate, differing []string
	title := "Sluice is ready."
	if c, err := client.New(options); err == nil {
		defer c.Close()
		title = titleText(ctx, c)
		route := declared(ctx, c)
		tried := tryRoute(ctx, c, route)
		if tried == nil {
			tried = w.tryModel(ctx, c)
		}
		if tried != nil {
			commands = tried
		}
		differing = w.differing(ctx, c)
		if route != nil {
			operate = w.routeCommands(route)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  HTTP     %s\n  admin    %s\n  console  %s/\n", title, options.Data, options.Admin, options.Admin)
	if len(differing) > 0 {
		block(&b, "Routes that differ from the configuration file, since commands changed them", differing)
	}
	block(&b, "Try", append(commands, "curl -s "+options.Admin+"/metrics"))
	switch {
	case len(operate) == 0:
	case len(w.config.Admin.Tokens) > 0:
		block(&b, "Split the traffic (SLUICE_TOKEN must have a token of the admin port)", operate)
	default:
		block(&b, "Split the traffic", operate)
	}
	return b.String()
}

// differing lists the routes that differ from the configuration.
func (w *welcome) differing(ctx context.Context, c *client.Client) (list []string) {
	routes, err := c.Routes(ctx)
	if err != nil {
		return nil
	}
	differences := differencesOf(routes, documentsOf(w.config), false)
	for _, d := range differences[:min(len(differences), maxWelcomeTroubles)] {
		list = append(list, oneLine(d.Route)+": "+strings.Join(d.Changes, ", ")+" in the file")
	}
	return list
}

// titleText says whether a gateway is ready and how many models it serves, and lists the problems
// in its repository.
func titleText(ctx context.Context, c *client.Client) string {
	models, err := c.Models(ctx)
	if err != nil {
		return "Sluice is ready."
	}
	var b strings.Builder
	switch n := len(namesOf(models, api.StateReady)); {
	case c.AdminReady(ctx) != nil:
		fmt.Fprintf(&b, "Sluice runs, but it is not ready: %s.", modelsText(n))
	default:
		fmt.Fprintf(&b, "Sluice is ready: %s.", modelsText(n))
	}
	list := troubles(ctx, c, models)
	if len(list) > 0 {
		b.WriteString("\n\nNot served:")
	}
	for _, text := range list[:min(len(list), maxWelcomeTroubles)] {
		b.WriteString("\n  " + oneLine(text))
	}
	if more := len(list) - maxWelcomeTroubles; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more: gateway models list", more)
	}
	if len(list) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// troubles lists the versions that failed to load, and the warnings about the repository.
func troubles(ctx context.Context, c *client.Client, models []api.ModelStatus) (list []string) {
	for i := range models {
		if m := &models[i]; m.State == api.StateUnavailable && m.Reason != "unloaded" {
			list = append(list, fmt.Sprintf("%s version %d failed to load: %s", m.Name, m.Version, m.Reason))
		}
	}
	if status, err := c.Status(ctx); err == nil {
		for _, w := range status.RepositoryWarnings {
			list = append(list, w.String())
		}
	}
	return list
}

func modelsText(n int) string {
	if n == 1 {
		return "1 model"
	}
	return strconv.Itoa(n) + " models"
}

func block(b *strings.Builder, title string, commands []string) {
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, command := range commands {
		b.WriteString("  " + command + "\n")
	}
}

// tryModel returns commands that get the metadata of the model with the shortest example and send
// that example; nil if no model is ready or the caller may not see it.
func (w *welcome) tryModel(ctx context.Context, c *client.Client) []string {
	models, err := c.Models(ctx)
	if err != nil {
		return nil
	}
	var model client.Metadata
	var shortest []byte
	names := namesOf(models, api.StateReady)
	for _, name := range names[:min(len(names), maxWelcomeModels)] {
		meta, err := c.ModelMetadata(ctx, name, 0)
		if err != nil {
			continue
		}
		body, err := exampleBody(meta, 1)
		if err == nil && (shortest == nil || len(body) < len(shortest)) {
			model, shortest = meta, body
			model.Name = name
		}
	}
	if shortest == nil {
		return nil
	}
	target := c.InferURL(model.Name, 0)
	send := "curl -s " + quote(target) + " -d " + quote(string(shortest))
	if len(shortest) > maxShownBytes {
		if send = sendZeros(target, model); send == "" {
			send = quote(w.program) + " infer " + quote(model.Name) + " --example --data " + quote(w.dataURL())
		}
	}
	return []string{"curl -s " + quote(strings.TrimSuffix(target, "/infer")), send}
}

// sendZeros returns a command that sends a row of zeros as binary tensors; "" if that is not
// possible or too long.
func sendZeros(target string, meta client.Metadata) string {
	type tensor struct {
		Name       string           `json:"name"`
		Shape      infer.Shape      `json:"shape"`
		Datatype   string           `json:"datatype"`
		Parameters map[string]int64 `json:"parameters"`
	}
	var header struct {
		Inputs []tensor `json:"inputs"`
	}
	all := int64(0)
	for _, in := range meta.Inputs {
		dtype, ok := infer.ParseDType(in.Datatype)
		size := exampleBytes(in.Shape, dtype, 1)
		if !ok || dtype == infer.Bytes || size > maxExampleBytes {
			return ""
		}
		all += size
		header.Inputs = append(header.Inputs, tensor{in.Name, infer.Shape(in.Shape).Fixed(1), in.Datatype, map[string]int64{"binary_data_size": size}})
	}
	text, err := json.Marshal(header)
	if err != nil || len(text) > maxShownBytes {
		return ""
	}
	return fmt.Sprintf("(printf %%s %s; head -c %d /dev/zero) | curl -s %s -H 'Content-Type: application/octet-stream' -H 'Inference-Header-Content-Length: %d' --data-binary @-",
		quote(string(text)), all, quote(target), len(text))
}

// declared returns the first declared route with one canary, or else the first declared route; nil
// if there is none or the caller may not see it.
func declared(ctx context.Context, c *client.Client) *api.Route {
	routes, err := c.Routes(ctx)
	if err != nil {
		return nil
	}
	var first *api.Route
	for i := range routes {
		r := &routes[i]
		if r.Revision == 0 {
			continue
		}
		if canary(r) != nil {
			return r
		}
		if first == nil {
			first = r
		}
	}
	return first
}

// tryRoute returns commands that get the metadata of a route and send an example of one caller,
// with headers that show what served it; nil if no example can be shown.
func tryRoute(ctx context.Context, c *client.Client, r *api.Route) []string {
	if r == nil {
		return nil
	}
	meta, err := c.ModelMetadata(ctx, r.Name, 0)
	if err != nil {
		return nil
	}
	body, err := exampleBody(meta, 1)
	if err != nil || len(body) > maxShownBytes {
		return nil
	}
	target := c.InferURL(r.Name, 0)
	send := "curl -si " + quote(target)
	switch {
	case r.Sticky.Header != "":
		send += " -H " + quote(r.Sticky.Header+": u1")
	case r.Sticky.Parameter != "":
		key, err := json.Marshal(map[string]string{r.Sticky.Parameter: "u1"})
		if err != nil {
			return nil
		}
		body = fmt.Appendf(nil, `{"parameters":%s,%s`, key, body[1:])
	}
	return []string{"curl -s " + quote(strings.TrimSuffix(target, "/infer")), send + " -d " + quote(string(body))}
}

// routeCommands returns commands that watch a route, increase the share of its canary, and print
// the journal.
func (w *welcome) routeCommands(r *api.Route) []string {
	program, admin := quote(w.program), ""
	if at := w.adminURL(); at != "http://"+client.DefaultAdmin {
		admin = " --admin " + quote(at)
	}
	name := quote(r.Name)
	commands := []string{program + " routes get " + name + " --watch" + admin}
	if v := canary(r); v != nil {
		if share := moreFor(r, v); share > 0 {
			commands = append(commands, fmt.Sprintf(`%s routes set %s --canary %d=%s --reason "looks good"%s`,
				program, name, v.Version, api.Percent(share), admin))
		}
	}
	return append(commands, program+" journal"+admin)
}

// canary returns the canary of a route; nil if there is none or there are several, since setting
// one would remove the others.
func canary(r *api.Route) *api.Variant {
	var found *api.Variant
	for i := range r.Variants {
		if r.Variants[i].Role != api.RoleCanary {
			continue
		}
		if found != nil {
			return nil
		}
		found = &r.Variants[i]
	}
	return found
}

// moreFor returns the next larger share for a canary that the stable version can give; 0 if there
// is none.
func moreFor(r *api.Route, canary *api.Variant) int {
	stable, n := r.Stable()
	if n != 1 {
		return 0
	}
	for _, share := range []int{500, 2_000, 5_000} {
		if share > canary.Weight && share <= canary.Weight+r.Variants[stable].Weight {
			return share
		}
	}
	return 0
}

// namesOf returns the names of the models that have a version in a state, sorted.
func namesOf(models []api.ModelStatus, state string) []string {
	var names []string
	for i := range models {
		if m := &models[i]; m.State == state && !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (w *welcome) dataURL() string  { return reachable(w.at.HTTP, &w.config.Server.HTTP.TLS) }
func (w *welcome) adminURL() string { return reachable(w.at.Admin, &w.config.Admin.TLS) }

// reachable returns the URL for an address on this machine. An unspecified address becomes
// localhost.
func reachable(a net.Addr, t *config.TLS) string {
	scheme := "http://"
	if t.Enabled() {
		scheme = "https://"
	}
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return scheme + "localhost:" + strconv.Itoa(tcp.Port)
	}
	return scheme + a.String()
}

// quote quotes any text as one word for a shell.
func quote(s string) string {
	if strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func special(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:%", r)
}
