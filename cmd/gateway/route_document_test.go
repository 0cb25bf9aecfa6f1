package main

import (
	"strings"
	"testing"
)

func FuzzReadRoutes(f *testing.F) {
	for _, text := range []string{
		`{"name":"a","variants":[{"version":1,"weight":10000}]}`, `[{"name":"a","revision":0}]`, "name: a\n---\nname: b\n",
		`[{"type":"route.set","subject":"routes/a","after":{"name":"a","revision":1}}]`, `{"type":"route.deleted","subject":"routes/a"}`, "", "a: &x [*x]",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		docs, _, err := readRoutes("-", strings.NewReader(text))
		if err != nil && docs != nil {
			t.Errorf("%v beside %v", docs, err)
		}
		seen := map[string]bool{}
		for _, doc := range docs {
			if seen[doc.name] {
				t.Errorf("route %q is there twice", doc.name)
			}
			seen[doc.name] = true
		}
	})
}
