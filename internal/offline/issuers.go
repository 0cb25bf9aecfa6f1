package offline

import (
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/jwt"
)

// CheckIssuers checks the files with the keys of the issuers of tokens. It fetches nothing.
func CheckIssuers(cfg *config.Config, places *config.Places) (problems config.Problems) {
	for n, i := range cfg.Auth.JWT {
		if i.JWKSFile == "" {
			continue
		}
		if err := jwt.CheckFile(i.JWKSFile); err != nil {
			problems = append(problems, places.Problem(config.Item("auth.jwt", n)+".jwks_file", "%v", err))
		}
	}
	return problems
}
