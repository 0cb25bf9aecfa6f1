package peers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/process"
)

func TestTheFile(t *testing.T) {
	t.Setenv("TRITON_URL", "")
	list, err := Read("peers.txt", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
		if !p.Takes(JSON) {
			t.Errorf("%s takes no JSON", p.Name)
		}
		if p.External() {
			continue
		}
		if _, err := p.stamp(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		versions, err := p.Versions()
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(versions, " "); !strings.Contains(all, "onnxruntime") || strings.ContainsAny(all, "^~*") {
			t.Errorf("%s pins %s", p.Name, all)
		}
	}
	if diff := cmp.Diff([]string{"fastapi", "mlserver", "node", "litserve", "kserve", "triton"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	const rest = " | http://h:{port}/r | http://h:{port}/i | json | -"
	f := func(file, want string) {
		t.Helper()
		_, err := parse(strings.NewReader(file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", file, err, want)
		}
	}
	f("# only a comment\n\n", "no peers")
	f("a | -\n", "line 1: 2 fields, want 7")
	f("# one\n\na | - | srv"+rest+" | more\n", "line 3: 8 fields, want 7")
	f("A | - | srv"+rest, `line 1: name "A"`)
	f("../a | - | srv"+rest, `line 1: name "../a"`)
	f("a | - | srv"+rest+"\na | - | srv"+rest, `line 2: there is a "a" already`)
	f("a | - | srv {prot}"+rest, "line 1: placeholder {prot}")
	f("a | - | srv {port"+rest, "line 1: placeholder {port")
	f("a | - | srv | http://h/r | http://h:{port}/i | json | -", "line 1: ready: \"http://h/r\" lacks the {port}")
	f("a | - | srv | http://h:{port}/r | h:{port}/i | json | -", `line 1: infer: "h:{port}/i" does not begin with http://`)
	f("a | - | srv | http://h:{port}/r | http://h:{port}/i | json,grpc | -", `line 1: bodies: "grpc"`)
	f("a | - | srv | http://h:{port}/r | http://h:{port}/i | json | A=1 B", `line 1: environment: "B" is not NAME=VALUE`)
}

func TestSpec(t *testing.T) {
	p, err := parseLine("a | - | {home}/srv --port {port} -w {workers} {dir}/app | http://h:{port}/r | http://h:{port}/{model}/i | json | M={models}/{model} X=1")
	if err != nil {
		t.Fatal(err)
	}
	p.dir, p.home = "/src/my peers/a", "/cache/a"
	got := p.Spec("/tmp/m", AllModels, 81, []int{1})
	want := process.Spec{
		Command: []string{"/cache/a/srv", "--port", "81", "-w", "1", "/src/my peers/a/app"},
		Env:     []string{"M=/tmp/m/*", "X=1"},
		Dir:     "/cache/a",
		Ready:   "http://h:81/r",
		CPUs:    []int{1},
		Timeout: readyWithin,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, want := p.URL("lin", 81), "http://h:81/lin/i"; got != want {
		t.Errorf("URL %s, want %s", got, want)
	}
}

func TestChoose(t *testing.T) {
	const file = "a | - | srv | http://h:{port}/r | http://h:{port}/i | json | -\nb | - | - | $SOME_URL/r | $SOME_URL/{model} | json,binary | -\n"
	read := func(url string) []Peer {
		t.Helper()
		t.Setenv("SOME_URL", url)
		list, err := parse(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	names := func(list []Peer, names string) string {
		t.Helper()
		chosen, err := Choose(list, names)
		if err != nil {
			return err.Error()
		}
		var got []string
		for _, p := range chosen {
			got = append(got, p.Name)
		}
		return strings.Join(got, " ")
	}
	unset, set := read(""), read("http://elsewhere:8000/")
	for _, c := range []struct {
		list        []Peer
		names, want string
	}{
		{unset, "all", "a"},
		{unset, "b", "b: SOME_URL is not set"},
		{set, "all", "a b"},
		{set, "b,a", "b a"},
		{set, "a,c", `no peer "c"`},
	} {
		if got := names(c.list, c.names); got != c.want {
			t.Errorf("%s: %s, want %s", c.names, got, c.want)
		}
	}
	b := set[1]
	if got, want := b.URL("lin", 0), "http://elsewhere:8000/lin"; got != want || !b.External() || !b.Takes(Binary) {
		t.Errorf("URL %s, want %s; external %v, binary %v", got, want, b.External(), b.Takes(Binary))
	}
}
