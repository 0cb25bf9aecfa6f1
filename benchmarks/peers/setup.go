package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// stampFile is written into a peer's folder when its set-up has ended well. It holds
// a digest of the set-up's command and of the files that it names.
const stampFile = "set-up"

// Setup installs the peer into its folder, from scratch where the command or a file
// that it names (its pinned versions) changed since, and not at all where neither did.
func (p *Peer) Setup(ctx context.Context) error {
	if p.setup == "" {
		return os.MkdirAll(p.home, 0o755) //nolint:gosec // nothing secret
	}
	want, err := p.stamp()
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	stamp := filepath.Join(p.home, stampFile)
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want { //nolint:gosec // our own file
		return nil
	}
	if err := os.RemoveAll(p.home); err != nil {
		return err
	}
	command := p.replacer("", "", 0, nil, shellQuote).Replace(p.setup)
	cmd := exec.CommandContext(ctx, "sh", "-ec", command) //nolint:gosec // what the file is for
	cmd.WaitDelay = time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: set-up: %w:\n%s", p.Name, err, lastLines(said))
	}
	return os.WriteFile(stamp, []byte(want), 0o644) //nolint:gosec // nothing secret
}

func (p *Peer) stamp() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, p.home, p.setup)
	for _, path := range p.pinned() {
		b, err := os.ReadFile(path) //nolint:gosec // named by the set-up's command
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// pinned returns the paths of the peer's own files that its set-up names.
func (p *Peer) pinned() (paths []string) {
	for _, word := range regexp.MustCompile(`\{dir\}/[^\s;&"']+`).FindAllString(p.setup, -1) {
		paths = append(paths, strings.Replace(word, "{dir}", p.dir, 1))
	}
	return paths
}

// Versions returns what is pinned by name, as "fastapi 0.165.0": the first paragraph
// of a requirements.txt, the dependencies of a package.json.
func (p *Peer) Versions() (list []string, err error) {
	for _, path := range p.pinned() {
		b, err := os.ReadFile(path) //nolint:gosec // named by the set-up's command
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		switch filepath.Base(path) {
		case "requirements.txt":
			first, _, _ := bytes.Cut(b, []byte("\n\n"))
			for _, m := range regexp.MustCompile(`(?m)^([\w.-]+)==(\S+)`).FindAllSubmatch(first, -1) {
				list = append(list, fmt.Sprintf("%s %s", m[1], m[2]))
			}
		case "package.json":
			var doc struct{ Dependencies map[string]string }
			if err := json.Unmarshal(b, &doc); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			for name, version := range doc.Dependencies {
				list = append(list, name+" "+version)
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func lastLines(said []byte) string {
	const most = 20
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
