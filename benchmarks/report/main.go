// Command report renders the raw results of compare: a page with tables and
// pictures beside them, and the table in the README. The same results give the
// same report.
//
//	go run ./report -in results/compare.jsonl -readme ../README.md
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

func main() {
	in := flag.String("in", "results/compare.jsonl", "the raw results; the page and its pictures go beside them")
	readme := flag.String("readme", "", "the document whose table is rewritten; empty: none")
	flag.Parse()
	if err := run(*in, *readme); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(in, readme string) error {
	raw, err := record.ReadFile(in)
	if err != nil {
		return err
	}
	r := arrange(raw)
	dir, name := filepath.Split(in)
	prefix := strings.TrimSuffix(name, filepath.Ext(name))
	if err := removeOld(dir, prefix); err != nil {
		return err
	}
	plots, err := r.savePlots(dir, prefix)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	r.page(&text, plots)
	const readable = 0o644
	if err := os.WriteFile(filepath.Join(dir, prefix+".md"), text.Bytes(), readable); err != nil { //nolint:gosec // a document that all may read
		return err
	}
	if readme == "" {
		return nil
	}
	return updateReadme(readme, r.summary())
}
