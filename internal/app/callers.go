package app

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/metrics"
)

// applyCallers makes the book of a configuration and stores it for all listeners.
func (a *App) applyCallers(cfg *config.Config) error {
	if err := a.tokens.Replace(issuersOf(cfg)); err != nil {
		return fmt.Errorf("auth.jwt: %w", err)
	}
	options := bookOf(cfg)
	if len(cfg.Auth.JWT) > 0 {
		options.Verifier = tokenVerifier{a.tokens}
	}
	options.Counters, options.Trainers = a.counters, a.trainers
	book, err := callers.New(options, a.callers.Load())
	if err != nil {
		return fmt.Errorf("callers: %w", err)
	}
	a.callers.Store(book)
	if a.admin != nil { // else nobody has signed in yet
		a.admin.CallersChanged()
	}
	return nil
}

// callerCounts returns the counters of the callers for the metrics.
func (a *App) callerCounts() map[string]metrics.CallerCounts {
	all := map[string]metrics.CallerCounts{}
	for name, c := range a.counters.All() {
		all[name] = metrics.CallerCounts{Requests: c.ByCode(), Limited: c.Limited.Load()}
	}
	return all
}

// bookOf returns what a configuration says about callers.
func bookOf(cfg *config.Config) callers.Options {
	o := callers.Options{
		Groups: make(map[string]callers.Grant, len(cfg.Groups)), Required: cfg.Auth.Required, PrivateMetrics: !cfg.Metrics.Public,
	}
	for name, g := range cfg.Groups {
		o.Groups[name] = grantOf(g.Allow, g.Limits)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Callers)) {
		o.Callers = append(o.Callers, memberOf(name, cfg.Callers[name]))
	}
	taken := map[callers.Key]bool{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Admin.Tokens)) {
		key := callers.KeyOf([]byte(cfg.Admin.Tokens[name].Reveal()))
		taken[key] = true
		everything := callers.Rule{Models: []string{"*"}, Actions: callers.All}
		o.Callers = append(o.Callers, callers.Member{Name: name, Keys: []callers.Key{key}, Grant: callers.Grant{Allow: []callers.Rule{everything}}})
	}
	o.Implied = overriders(cfg, taken)
	return o
}

// overriders returns a caller for each override token: it may override on the routes with that token.
// A token that taken has is the key of a caller that may do so anyway.
func overriders(cfg *config.Config, taken map[callers.Key]bool) (list []callers.Member) {
	places := map[callers.Key]int{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		token := cfg.Routes[name].Override.Token.Reveal()
		key := callers.KeyOf([]byte(token))
		if token == "" || taken[key] {
			continue
		}
		rule := callers.Rule{Models: []string{name}, Actions: callers.Override | callers.Infer | callers.Metadata}
		if i, shared := places[key]; shared {
			list[i].Allow = append(list[i].Allow, rule)
			continue
		}
		places[key] = len(list)
		list = append(list, callers.Member{Name: "override:" + name, Keys: []callers.Key{key}, Grant: callers.Grant{Allow: []callers.Rule{rule}}})
	}
	return list
}

func memberOf(name string, c config.Caller) callers.Member {
	m := callers.Member{Name: name, Groups: c.Groups, Certificates: c.Certificates, Grant: grantOf(c.Allow, c.Limits)}
	for _, key := range c.Keys {
		m.Keys = append(m.Keys, key.Digest())
	}
	for _, s := range c.JWT {
		m.Subjects = append(m.Subjects, callers.Subject(s))
	}
	return m
}

func grantOf(allow []config.Allow, limits []config.Quota) (g callers.Grant) {
	for _, a := range allow {
		rule := callers.Rule{Models: a.Models}
		for _, name := range a.Actions {
			action, _ := callers.ParseAction(name) // the configuration knows the same names
			rule.Actions |= action
		}
		g.Allow = append(g.Allow, rule)
	}
	for _, q := range limits {
		g.Limits = append(g.Limits, callers.Limit{
			Models: q.Models, RequestsPerSecond: q.RequestsPerSecond, Burst: burst(q.Burst, q.RequestsPerSecond),
			RowsPerSecond: q.RowsPerSecond, RowsBurst: burst(q.RowsBurst, q.RowsPerSecond), BytesInFlight: int64(q.BytesInFlight),
		})
	}
	return g
}

// burst returns the configured burst, or that of one second.
func burst(configured int, perSecond float64) int {
	if configured > 0 {
		return configured
	}
	return max(1, int(math.Ceil(perSecond)))
}
