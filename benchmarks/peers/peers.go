// Package peers knows the servers that the gateway is measured beside: how each is
// installed, started and asked, and whether it answers what ONNX Runtime answers.
package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/process"
)

// Peer is one of them. Texts have {dir} for its folder here, {home} for the one that it is
// installed into, {models} for a folder of NAME/1/model.onnx, {port} and {workers}.
type Peer struct {
	Name   string
	setup  string // for sh
	pins   string // the file of {dir} that pins versions
	start  string // the program and its arguments; it ends at SIGTERM with all its workers
	ready  string // the path that answers 200 when models can be asked
	binary bool   // it takes the binary tensor extension too
	env    string
}

const (
	venv   = "python3 -m venv {home} && {home}/bin/pip install -q -r {dir}/requirements.txt"
	pins   = "requirements.txt"
	python = "MODEL_FILES={models}/*/1/model.onnx PORT={port} WORKERS={workers} OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1"
	health = "/v2/health/ready"
)

func all() []Peer {
	return []Peer{
		{"fastapi", venv, pins, "{home}/bin/uvicorn app:app --app-dir {dir} --host 127.0.0.1 --port {port} --workers {workers} --loop uvloop --http httptools " +
			"--no-access-log --no-server-header --log-level warning", health, true, python},
		{"mlserver", venv, pins, "{home}/bin/python {dir}/serve.py", health, false, python + " POOLED=enc,encdyn"},
		{
			"node", "mkdir -p {home} && cp {dir}/package.json {dir}/package-lock.json {home} && npm ci --prefix {home} --ignore-scripts --no-audit --no-fund",
			"package-lock.json", "node {dir}/server.js {port} {workers}", health, true, "MODELS={models} MODEL=* PACKAGES={home} NODE_ENV=production",
		},
		{"litserve", venv, pins, "{home}/bin/python {dir}/server.py", "/health", false, python},
		{
			"kserve", venv, pins, "{home}/bin/python {dir}/server.py --http_port {port} --enable_grpc false --workers {workers} --event-loop uvloop --enable_latency_logging false",
			health, true, python + " PYTHONWARNINGS=ignore",
		},
		{Name: "triton", ready: health, binary: true},
	}
}

// TritonVariable holds the address of a Triton that runs already.
const TritonVariable = "TRITON_URL"

// Choose returns the peers of some names; "all" are all, Triton only if its address is known.
func Choose(names ...string) (chosen []Peer, err error) {
	for _, name := range names {
		found := slices.DeleteFunc(all(), func(p Peer) bool {
			return p.Name != name && (name != "all" || p.External() && os.Getenv(TritonVariable) == "")
		})
		if len(found) == 0 || name == "triton" && os.Getenv(TritonVariable) == "" {
			return nil, fmt.Errorf("there is no peer %q, or %s is not set", name, TritonVariable)
		}
		chosen = append(chosen, found...)
	}
	return chosen, nil
}

// External reports whether somebody else starts and stops the server.
func (p *Peer) External() bool { return p.start == "" }

// Takes reports whether the server understands bodies of this form.
func (p *Peer) Takes(binaryForm bool) bool { return p.binary || !binaryForm }

// URL returns where it answers, if it was started on the port.
func (p *Peer) URL(port int) string {
	if p.External() {
		return strings.TrimSuffix(os.Getenv(TritonVariable), "/")
	}
	return "http://127.0.0.1:" + strconv.Itoa(port)
}

// home is the folder that it is installed into, without links: virtual environments name it.
func (p *Peer) home() string {
	dir, _ := filepath.Abs("../.cache/peers")
	if found, err := filepath.EvalSymlinks(dir); err == nil {
		dir = found
	}
	return filepath.Join(dir, p.Name)
}

func (p *Peer) dir() string {
	dir, _ := filepath.Abs("peers")
	return filepath.Join(dir, p.Name)
}

// Spec returns how to start it on a port of the loopback with all models of a folder, and
// with one worker for each core. It runs in the folder that it was installed into, since
// some leave files where they run.
func (p *Peer) Spec(models string, port, workers int) process.Spec {
	r := strings.NewReplacer("{dir}", p.dir(), "{home}", p.home(), "{models}", models, "{port}", strconv.Itoa(port), "{workers}", strconv.Itoa(workers))
	s := process.Spec{Dir: p.home(), Ready: p.URL(port) + p.ready, Timeout: 2 * time.Minute}
	for word := range strings.FieldsSeq(p.start) {
		s.Command = append(s.Command, r.Replace(word))
	}
	for word := range strings.FieldsSeq(p.env) {
		s.Env = append(s.Env, r.Replace(word))
	}
	return s
}

// Setup installs the peer, from scratch if the command or its pinned versions have changed
// since, and not at all if neither has.
func (p *Peer) Setup(ctx context.Context) error {
	if p.External() {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(p.dir(), p.pins))
	if err != nil {
		return err
	}
	want, stamp := p.setup+"\n"+string(text), filepath.Join(p.home(), "set-up")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return nil
	}
	if err := os.RemoveAll(p.home()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.home()), 0o755); err != nil { //nolint:gosec // nothing secret
		return err
	}
	command := strings.NewReplacer("{dir}", "'"+p.dir()+"'", "{home}", "'"+p.home()+"'").Replace(p.setup)
	if said, err := exec.CommandContext(ctx, "sh", "-ec", command).CombinedOutput(); err != nil { //nolint:gosec // one of those above
		return fmt.Errorf("%s: %w:\n%s", p.Name, err, said)
	}
	return os.WriteFile(stamp, []byte(want), 0o644) //nolint:gosec // nothing secret
}

// Versions returns what is pinned by name, as "fastapi 0.165.0": the first paragraph of a
// requirements.txt, the dependencies of a package.json.
func (p *Peer) Versions() string {
	var list []string
	text, _ := os.ReadFile(filepath.Join(p.dir(), "requirements.txt"))
	first, _, _ := strings.Cut(string(text), "\n\n")
	for _, m := range regexp.MustCompile(`(?m)^([\w.-]+)==(\S+)`).FindAllStringSubmatch(first, -1) {
		list = append(list, m[1]+" "+m[2])
	}
	var doc struct{ Dependencies map[string]string }
	if text, err := os.ReadFile(filepath.Join(p.dir(), "package.json")); err == nil && json.Unmarshal(text, &doc) == nil {
		for name, version := range doc.Dependencies {
			list = append(list, name+" "+version)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
