package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sluice.io/sluice/internal/config"
)

// FuzzParse: any text gives a configuration or a list of problems, and each problem fits on a
// screen.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("repository: {path: m}\nadmin: {tokens: {a: '${A}0123456789abcdef'}}\ndefaults: {versions: [1]}\nmodels: {1: , b: {versions: all}}"))
	f.Add([]byte("repository: {path: m}\ndata_dir: d\nroutes:\n  a:\n    model: b\n    variants: [{version: 1, weight: 99.5%}, {version: 2, weight: 50, role: canary}]\n" +
		"    shadows: [{version: 3, sample: 0%}]\n    sticky: {parameter: user}\n    fallback: 4\n    seed: s\n    override: {token: '${A}0123456789abcdef'}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := config.Parse("f.yaml", text, env("A", "secret"))
		if err == nil {
			if cfg.Repository.Path == "" || len(cfg.Defaults.Providers) == 0 {
				t.Errorf("accepted %+v", cfg)
			}
			for name, route := range cfg.Routes {
				doc := route.Document(name)
				if problems := doc.Check(); problems != nil {
					t.Errorf("accepted the route %q with %v", name, problems)
				}
			}
			return
		}
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) == 0 || len(problems) > 101 {
			t.Fatalf("%d problems: %v", len(problems), err)
		}
		for _, p := range problems {
			if p.Message == "" || p.Source != "f.yaml" || len(p.Message) > 600 {
				t.Errorf("problem %+v", p)
			}
		}
	})
}
