package offline

import (
	"errors"
	"time"

	"sluice.io/sluice/internal/certs"
	"sluice.io/sluice/internal/config"
)

// CheckCertificates checks the TLS files of a configuration. The warnings are about
// certificates that end soon.
func CheckCertificates(cfg *config.Config, places *config.Places, now time.Time) (problems, warnings config.Problems) {
	for _, l := range []struct {
		path string
		tls  *config.TLS
	}{
		{config.Path("server", "http", "tls"), &cfg.Server.HTTP.TLS},
		{config.Path("server", "grpc", "tls"), &cfg.Server.GRPC.TLS},
		{config.Path("admin", "tls"), &cfg.Admin.TLS},
	} {
		if !l.tls.Enabled() {
			continue
		}
		notAfter, err := certs.Check(&certs.Options{
			Cert: l.tls.Cert, Key: l.tls.Key, ClientCA: l.tls.ClientCA, ClientAuth: l.tls.ClientAuth, MinVersion: l.tls.MinVersion,
		}, now)
		broken, ok := errors.AsType[*certs.FileError](err)
		switch {
		case ok:
			problems = append(problems, places.Problem(l.path+"."+broken.Setting, "%s", broken.Reason))
		case now.Add(certs.Soon).After(notAfter):
			warnings = append(warnings, places.Problem(l.path+".cert", "the certificate expires on %s", notAfter.UTC().Format(time.RFC3339)))
		}
	}
	return problems, warnings
}
