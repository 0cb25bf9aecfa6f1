package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// minTokenBytes is the min length of a token; shorter ones can be guessed.
const minTokenBytes = 16

// validate checks the rules that tags cannot express: forms of text, and combinations of settings.
func (d *decoder) validate() {
	d.addresses()
	d.tls("server.http.tls", &d.cfg.Server.HTTP.TLS)
	d.tls("server.grpc.tls", &d.cfg.Server.GRPC.TLS)
	d.tls("admin.tls", &d.cfg.Admin.TLS)
	d.bodies()
	d.stop()
	d.hosts()
	d.cors()
	d.tracing()
	d.repository()
	d.defaultModel()
	d.tokens()
	d.access()
	d.webhook()
	d.mlflow()
	d.routes()
	inherited := modelProblems(d.cfg.Defaults)
	for _, setting := range sortedKeys(inherited) {
		d.problemAt("defaults."+setting, "%s", inherited[setting])
	}
	d.labels()
	d.capture()
	d.retraining()
	for _, name := range sortedKeys(d.cfg.Models) {
		path := child("models", name)
		if !infer.ValidName(name) {
			d.problemAt(path, "not a valid name for a model")
		}
		own := modelProblems(d.cfg.Models[name])
		for _, setting := range sortedKeys(own) {
			if own[setting] != inherited[setting] { // otherwise it is the same error
				d.problemAt(path+"."+setting, "%s", own[setting])
			}
		}
	}
}

func (d *decoder) addresses() {
	type listener struct {
		setting, text string
		at            address
	}
	var taken []listener
	for _, l := range []listener{
		{setting: "server.http.address", text: d.cfg.Server.HTTP.Address},
		{setting: "server.grpc.address", text: d.cfg.Server.GRPC.Address},
		{setting: "admin.address", text: d.cfg.Admin.Address},
	} {
		if l.setting == "server.grpc.address" && l.text == ListenNone {
			continue
		}
		var err error
		if l.at, err = parseAddress(l.text); err != nil {
			d.problemAt(l.setting, "%v", err)
			continue
		}
		for _, other := range taken {
			if other.at.clashes(l.at) {
				d.problemAt(l.setting, "%s is taken by %s (%s)", l.text, other.setting, other.text)
			}
		}
		taken = append(taken, l)
	}
}

type address struct {
	host string
	port uint16
}

// parseAddress parses host:port; the host may be empty or an address in brackets.
func parseAddress(s string) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /") {
		return address{}, fmt.Errorf(`expected host:port such as "127.0.0.1:8000" or ":8000", got %s`, clip(s))
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("expected a port from 0 to 65535, got %s", clip(s))
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = ""
	}
	return address{host, uint16(number)}, nil
}

// clashes reports whether two listeners cannot both have their address. Port 0 is a free port,
// selected by the system.
func (a address) clashes(b address) bool {
	return a.port != 0 && a.port == b.port && (a.host == "" || b.host == "" || a.host == b.host)
}

// tls checks which files of a listener are given. It does not read the files.
func (d *decoder) tls(path string, t *TLS) {
	switch {
	case t.Cert == "" && t.Key != "":
		d.problemAt(path+".cert", "must be given, since key is")
	case t.Cert != "" && t.Key == "":
		d.problemAt(path+".key", "must be given, since cert is")
	case t.Cert == "" && (t.ClientCA != "" || t.ClientAuth != ClientAuthNone):
		d.problemAt(path+".cert", "must be given to verify certificates of clients")
	case t.ClientAuth != ClientAuthNone && t.ClientCA == "":
		d.problemAt(path+".client_ca", "must be given, since client_auth is %s", t.ClientAuth)
	case t.ClientAuth == ClientAuthNone && t.ClientCA != "":
		d.problemAt(path+".client_ca", "has no effect with client_auth none; set client_auth to request or require")
	}
}

// labels checks loss models, and that there is a place for the predictions that are kept.
func (d *decoder) labels() {
	for _, name := range sortedKeys(d.cfg.Models) {
		if d.cfg.Models[name].Labels.Loss.Model == name {
			d.problemAt(child("models", name)+".labels.loss.model", "is the model itself; expected another one, which predicts its loss")
		}
	}
	if d.cfg.DataDir != "" {
		return
	}
	const problem = "needs data_dir (--data-dir), in which predictions are kept"
	if d.cfg.Defaults.Labels.Sample > 0 {
		d.problemAt("defaults.labels.sample", problem)
		return
	}
	for _, name := range sortedKeys(d.cfg.Models) {
		if d.cfg.Models[name].Labels.Sample > 0 {
			d.problemAt(child("models", name)+".labels.sample", problem)
		}
	}
}

func (d *decoder) stop() {
	s := d.cfg.Server
	if s.ShutdownDelay > 0 && s.ShutdownDelay >= s.DrainTimeout {
		d.problemAt("server.shutdown_delay", "%v leaves no time to finish requests: the whole stop has server.drain_timeout (%v)", s.ShutdownDelay, s.DrainTimeout)
	}
}

func (d *decoder) repository() {
	r := d.cfg.Repository
	if len(r.Load) > 0 && r.Control != ControlExplicit {
		d.problemAt("repository.load", "only explicit control loads models by name; repository.control is %s", r.Control)
	}
	for i, name := range r.Load {
		if name != "*" && !infer.ValidName(name) {
			d.problemAt(element("repository.load", i), "%s is not a valid name for a model", clip(name))
		}
	}
	for _, i := range repeated(r.Load) {
		d.problemAt(element("repository.load", i), "%s is named twice", clip(r.Load[i]))
	}
}

func (d *decoder) defaultModel() {
	if name := d.cfg.Server.DefaultModel; name != "" && !infer.ValidName(name) {
		d.problemAt("server.default_model", "%s is not a valid name for a model or a route", clip(name))
	}
}

// isHolder reports whether a name can be that of a caller or the holder of a token.
func isHolder(name string) bool {
	return name != "" && len(name) <= 64 && strings.IndexFunc(name, notHolderLetter) < 0
}

// notHolderLetter reports the characters that must not be in the name of a caller, since logs and
// the journal have it.
func notHolderLetter(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune(".@_-", r)
}

// weak reports whether a token is too short, or has a character that a header cannot have.
func weak(token Secret) bool {
	return len(token) < minTokenBytes || strings.IndexFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) >= 0
}

func (d *decoder) tokens() {
	holders := make(map[Secret]string)
	for _, name := range sortedKeys(d.cfg.Admin.Tokens) {
		path, token := child("admin.tokens", name), d.cfg.Admin.Tokens[name]
		if !isHolder(name) || name == Anonymous {
			d.problemAt(path, "the name of a token's holder is 1 to 64 letters, digits and any of .@_-, and not %s", Anonymous)
		}
		if d.failed(path) {
			continue
		}
		if weak(token) {
			d.problemAt(path, "a token is %d or more visible ASCII characters", minTokenBytes)
			continue
		}
		if other, taken := holders[token]; taken {
			d.problemAt(path, "the same token as %s's; each holder needs their own", other)
		}
		holders[token] = name
	}
}

func (d *decoder) webhook() {
	w := d.cfg.Retrain.Webhook
	if u, err := url.Parse(d.cfg.Prometheus.URL); d.cfg.Prometheus.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
		d.problemAt("prometheus.url", "expected a URL that begins with http:// or https:// and has no password%s", gotURL(d.cfg.Prometheus.URL))
	}
	if u, err := url.Parse(w.URL); w.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
		d.problemAt("retrain.webhook.url", "expected a URL that begins with http:// or https:// and has no password%s", gotURL(w.URL))
	}
	for i, name := range w.Events {
		if name != EventsRollout && name != EventsVersion && name != EventsRetrain {
			d.problemAt(fmt.Sprintf("retrain.webhook.events[%d]", i), "expected %s, %s or %s, got %s", EventsRollout, EventsVersion, EventsRetrain, clip(name))
		}
	}
	if len(w.Events) > 0 && w.URL == "" {
		d.problemAt("retrain.webhook.events", "events need a url that they are posted to")
	}
	switch {
	case w.URL != "" && w.Secret == "" && !d.failed("retrain.webhook.secret"):
		d.problemAt("retrain.webhook", "a URL needs a secret, with which events are signed")
	case w.Secret != "" && len(w.Secret) < minTokenBytes:
		d.problemAt("retrain.webhook.secret", "a secret is %d bytes or more", minTokenBytes)
	}
}

// mlflow checks the server that versions are imported from.
func (d *decoder) mlflow() {
	m := &d.cfg.Registry.MLflow
	if u, err := url.Parse(m.URL); m.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		d.problemAt("registry.mlflow.url", "expected a URL that begins with http:// or https://, and has no password and no query%s", gotURL(m.URL))
	}
	switch {
	case m.Token != "" && m.User != "":
		d.problemAt("registry.mlflow.token", "expected either token, or user and password")
	case m.Password != "" && m.User == "":
		d.problemAt("registry.mlflow.password", "needs user")
	}
	for i, host := range m.AllowedHosts {
		if u, err := url.Parse("//" + host); err != nil || u.Host != host || host == "" {
			d.problemAt(element("registry.mlflow.allowed_hosts", i), "expected HOST or HOST:PORT, got %s", clip(host))
		}
	}
}

// gotURL tells a URL that was refused, unless it may have a password.
func gotURL(text string) string {
	if strings.Contains(text, "@") {
		return ""
	}
	return ", got " + clip(text)
}

// minCalibration is the min number of windows of a round, if there are rounds.
const minCalibration = 20

// modelProblems returns invalid combinations in a model's settings, by the path below the model.
func modelProblems(m Model) map[string]string {
	found := make(map[string]string)
	if m.DefaultPriority > m.PriorityLevels {
		found["default_priority"] = fmt.Sprintf("%d is beyond priority_levels, which is %d", m.DefaultPriority, m.PriorityLevels)
	}
	if m.Drift.Rows == 0 && m.Drift.FalseAlarmEvery < m.Drift.Window {
		found["drift.false_alarm_every"] = fmt.Sprintf("%v is less than a window of %v", m.Drift.FalseAlarmEvery, m.Drift.Window)
	}
	if n := m.Drift.Calibration.Windows; n > 0 && n < minCalibration {
		found["drift.calibration.windows"] = fmt.Sprintf("%d windows are too few; expected 0, or %d or more", n, minCalibration)
	}
	if m.Batching.MaxDelay >= m.Timeout {
		found["batching.max_delay"] = fmt.Sprintf("%v leaves no time before the timeout of %v", m.Batching.MaxDelay, m.Timeout)
	}
	for _, i := range repeated(m.Versions.Numbers) {
		found[element("versions", i)] = fmt.Sprintf("version %d is named twice", m.Versions.Numbers[i])
	}
	if len(m.Providers) == 0 {
		found["providers"] = "an empty list leaves nothing to run on; cpu is always there"
	}
	columnProblems(m, found)
	names := make([]string, len(m.Providers))
	for i, p := range m.Providers {
		names[i] = strings.ToLower(p.Name)
	}
	for _, i := range repeated(names) {
		found[element("providers", i)] = clip(m.Providers[i].Name) + " is named twice"
	}
	return found
}

// columnProblems adds problems about columns without a name, or with the name of another one.
func columnProblems(m Model, found map[string]string) {
	inputs := make(map[string]string) // by column
	for _, input := range sortedKeys(m.Columns) {
		for i, name := range m.Columns[input] {
			path := element(child("columns", input), i)
			if other, taken := inputs[name]; taken {
				found[path] = fmt.Sprintf("%s is named twice, first for input %s", clip(name), clip(other))
			}
			if name == "" {
				found[path] = "a column needs a name"
			}
			inputs[name] = input
		}
	}
}

// repeated returns the indices of duplicates of earlier items. It skips zero values, which stand
// for invalid items.
func repeated[T comparable](items []T) []int {
	var zero T
	var places []int
	seen := make(map[T]bool, len(items))
	for i, item := range items {
		if item != zero && seen[item] {
			places = append(places, i)
		}
		seen[item] = true
	}
	return places
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
