//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRegistryCommands pushes versions, describes them and moves aliases and routes, with the
// commands and a real gateway.
func TestRegistryCommands(t *testing.T) {
	k, _ := registryGateway(t)
	defer k.stop(t)
	file, card := filepath.Join(t.TempDir(), "any.onnx"), filepath.Join(t.TempDir(), "card.yaml")
	do := func(args string) result {
		t.Helper()
		list := strings.Fields(args)
		return command(t, "", list, "SLUICE_ADMIN", k.admin, "SLUICE_ACTOR", "ada")
	}
	f := func(args string, lines ...string) {
		t.Helper()
		expectLines(t, do(args), lines...)
	}
	refused := func(args, text string) {
		t.Helper()
		if got := do(args); got.code == exitOK || !strings.Contains(got.errOut, text) {
			t.Errorf("%s: %+v, want %q", args, got, text)
		}
	}
	if err := os.WriteFile(card, []byte("owner: me\npurpose: null\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for number := range 3 {
		if err := os.WriteFile(file, scaled(float32(number+1)), 0o600); err != nil {
			t.Fatal(err)
		}
		f("models push scale "+file+" --run r1 --metric accuracy=0.97 --tag team=flowers --parent 9", "scale version ")
	}
	refused("models tag scale 1", "expected a change")
	refused("models tag scale 1 team", "expected NAME=VALUE")
	refused("models tag scale 1 a=b --remove a", "that is not set too")
	refused("models tag scale 9 a=b", "there is no version 9")
	f("models tag scale 1 stage=tested --remove team --card "+card+" --reason checked", "Tag:         stage=tested\n", "Card owner:")
	if got := do("models tag scale 1 --remove none"); got.code != exitOK || strings.Contains(got.out, "team") || strings.Contains(got.out, "purpose") {
		t.Errorf("%+v", got)
	}
	if got := do("journal --type version.described"); got.code != exitOK || !strings.Contains(got.out, "checked") {
		t.Errorf("%+v", got)
	}
	f("aliases set scale champion 1 --reason first", "alias champion of scale is version 1; routes: -")
	refused("routes set scale --stable @nobody --yes", "no alias 'nobody'")
	f("routes set scale --stable @champion --yes --reason x", "Route scale, revision 0 → 1")
	f("aliases set scale challenger 2 --reason x", "alias challenger")
	f("routes set scale --canary @challenger=5% --yes --reason x", "Route scale, revision 1 → 2")
	if got := do("routes list"); !strings.Contains(got.out, "@champion (v1) 95%, @challenger (v2) canary 5%") {
		t.Errorf("%+v", got)
	}
	if got := do("models describe scale"); !strings.Contains(got.out, "accuracy=0.97") || !strings.Contains(got.out, "stage=tested") || !strings.Contains(got.out, "alias champion, route scale") {
		t.Errorf("%+v", got)
	}
	f("routes set scale --stable @challenger --yes --reason promoted", "Route scale, revision 2 → 3")
	f("aliases set scale challenger 1 --dry-run --reason x", "alias challenger of scale would be version 1; routes: scale")
	f("aliases set scale challenger 1 --reason x", "alias challenger of scale is version 1; routes: scale")
	refused("aliases delete scale challenger", "route 'scale' names the alias")
	f("aliases delete scale champion --reason x", "alias champion of scale deleted")
	if got := do("aliases get scale challenger"); got.code != exitOK || strings.Count(got.out, "by ada") != 2 {
		t.Errorf("%+v", got)
	}
	if got := do("aliases list scale"); got.code != exitOK || strings.Contains(got.out, "champion") || !strings.Contains(got.out, "challenger") {
		t.Errorf("%+v", got)
	}
	f("models archive scale 3", "State:")
	refused("models archive scale 3", "is archived")
	f("models restore scale 3", "State:")
	f("models delete scale 3", "State:")
	refused("models delete scale 1", "is named by")
	if got := do("models versions scale"); got.code != exitOK || strings.Count(got.out, "\n") != 3 {
		t.Errorf("%+v", got)
	}
}
