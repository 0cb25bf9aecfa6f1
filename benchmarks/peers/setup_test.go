package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSetupRunsOnceForWhatIsPinned(t *testing.T) {
	root := filepath.Join(t.TempDir(), "it's a folder")
	pins := filepath.Join(root, "src", "pins.txt")
	write(t, pins, "a==1\n")
	p := Peer{
		Name:  "a",
		setup: "mkdir {home} && cp {dir}/pins.txt {home}/got && echo ran >> {home}/../log",
		dir:   filepath.Join(root, "src"),
		home:  filepath.Join(root, "home"),
	}
	runs := func() int {
		t.Helper()
		if err := p.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Count(read(t, filepath.Join(root, "log")), "ran")
	}
	if first, second := runs(), runs(); first != 1 || second != 1 {
		t.Errorf("%d and %d runs, want 1 and 1", first, second)
	}
	write(t, pins, "a==2\n")
	write(t, filepath.Join(root, "src", "app.py"), "not pinned")
	if n := runs(); n != 2 || read(t, filepath.Join(p.home, "got")) != "a==2\n" {
		t.Errorf("after a pin changed: %d runs, installed %q", n, read(t, filepath.Join(p.home, "got")))
	}
	p.setup += " && true"
	if n := runs(); n != 3 {
		t.Errorf("after the command changed: %d runs, want 3", n)
	}
}

func TestSetupThatFailsIsTriedAgain(t *testing.T) {
	root := t.TempDir()
	p := Peer{Name: "a", setup: "mkdir {home}; echo went wrong >&2; exit 3", dir: root, home: filepath.Join(root, "home")}
	for range 2 {
		err := p.Setup(t.Context())
		if err == nil || !strings.Contains(err.Error(), "a: set-up: exit status 3:\nwent wrong") {
			t.Errorf("error %v", err)
		}
	}
	p.setup = "cp {dir}/absent {home}"
	if err := p.Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("error %v, want one that names the file", err)
	}
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "requirements.txt"), "# why\nb==1.2\na==3\n\nneeded==4\n")
	write(t, filepath.Join(dir, "package.json"), `{"dependencies": {"c": "5.6"}}`)
	p := Peer{Name: "a", setup: "x -r {dir}/requirements.txt && cp {dir}/package.json {home}; y", dir: dir}
	got, err := p.Versions()
	if err != nil || strings.Join(got, ", ") != "a 3, b 1.2, c 5.6" {
		t.Errorf("%q, %v", got, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
