package app

import (
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/jwt"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/offline"
)

// tokenVerifier is a verifier of tokens as the book of callers knows it.
type tokenVerifier struct{ *jwt.Verifier }

// Verify implements callers.Verifier.
func (v tokenVerifier) Verify(token string) (callers.Claims, error) {
	claims, err := v.Verifier.Verify(token)
	return callers.Claims(claims), err
}

func issuersOf(cfg *config.Config) []jwt.Issuer {
	list := make([]jwt.Issuer, len(cfg.Auth.JWT))
	for n, i := range cfg.Auth.JWT {
		list[n] = jwt.Issuer{
			Name: i.Issuer, Audience: i.Audience, KeysFile: i.JWKSFile, KeysURL: i.JWKSURL, SubjectClaim: i.SubjectClaim,
			GroupsClaim: i.GroupsClaim, Algorithms: i.Algorithms, Leeway: i.Leeway,
		}
	}
	return list
}

// reload returns what reads the configuration again and refuses one that applied could not apply. It
// returns nil if there is no reload.
func (a *App) reload() func() (*config.Config, error) {
	if a.opts.Reload == nil {
		return nil
	}
	return func() (*config.Config, error) {
		cfg, err := a.opts.Reload()
		if err != nil {
			return nil, err
		}
		if problems := offline.CheckIssuers(cfg, &config.Places{}); len(problems) > 0 {
			return nil, problems
		}
		return cfg, nil
	}
}

// issuers returns the state of the issuers of tokens for the metrics.
func (a *App) issuers() []metrics.Issuer {
	stats := a.tokens.Stats()
	list := make([]metrics.Issuer, len(stats))
	for n, s := range stats {
		list[n] = metrics.Issuer{Name: s.Issuer, Keys: s.Keys, Updated: s.Updated, Failures: s.Failures}
	}
	return list
}
