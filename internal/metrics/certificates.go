package metrics

import "github.com/prometheus/client_golang/prometheus"

// certificateCollector reports the TLS certificates at each scrape.
type certificateCollector struct {
	source                  func() map[string]Certificate
	valid, notAfter, failed *prometheus.Desc
}

func newCertificateCollector(source func() map[string]Certificate) *certificateCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "tls", name), help, []string{"listener"}, nil)
	}
	return &certificateCollector{
		source:   source,
		valid:    desc("certificate_valid", "Whether the files of the listener's certificate can be used, and the certificate that serves is within its time."),
		notAfter: desc("certificate_not_after_seconds", "Time at which the certificate that serves expires."),
		failed:   desc("handshake_errors_total", "TLS handshakes that failed."),
	}
}

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.valid
	ch <- c.notAfter
	ch <- c.failed
}

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	for listener, cert := range c.source() {
		valid := 0.0
		if cert.Valid {
			valid = 1
		}
		gauge(ch, c.valid, valid, listener)
		gauge(ch, c.notAfter, float64(cert.NotAfter.Unix()), listener)
		ch <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(cert.FailedHandshakes), listener)
	}
}
