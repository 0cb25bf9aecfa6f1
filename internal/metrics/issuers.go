package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Issuer is the state of the keys of an issuer of tokens.
type Issuer struct {
	Name     string
	Keys     int       // that can be used
	Updated  time.Time // when they were last loaded; zero if they never were
	Failures int64     // loads that failed
}

// issuerCollector reports the keys of the issuers of tokens at each scrape.
type issuerCollector struct {
	source                  func() []Issuer
	keys, updated, failures *prometheus.Desc
}

func newIssuerCollector(source func() []Issuer) *issuerCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "jwt", name), help, []string{"issuer"}, nil)
	}
	return &issuerCollector{
		source:   source,
		keys:     desc("keys", "Public keys of the issuer of tokens that can be used; 0 if they were not loaded yet."),
		updated:  desc("keys_last_load_success_timestamp_seconds", "Time at which the issuer's keys were last loaded or confirmed; absent if they never were."),
		failures: desc("key_load_errors_total", "Loads of the issuer's keys that failed."),
	}
}

// Describe implements prometheus.Collector.
func (c *issuerCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.keys
	ch <- c.updated
	ch <- c.failures
}

// Collect implements prometheus.Collector.
func (c *issuerCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	for _, i := range c.source() {
		gauge(ch, c.keys, float64(i.Keys), i.Name)
		if !i.Updated.IsZero() {
			gauge(ch, c.updated, float64(i.Updated.Unix()), i.Name)
		}
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(i.Failures), i.Name)
	}
}
