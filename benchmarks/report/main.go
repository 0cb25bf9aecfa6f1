// Command report renders the raw results of compare: a page with tables and
// pictures beside them, and the table in docs/performance.md. The same results give the
// same report.
//
//	go run ./report -in results/compare.jsonl -readme ../README.md
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sluice.io/sluice/benchmarks/page"
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
	rows, err := record.Load(in)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%s: no results", in)
	}
	r := arrange(rows)
	dir, name := filepath.Split(in)
	prefix := strings.TrimSuffix(name, filepath.Ext(name))
	plots, err := r.savePlots(dir, prefix)
	if err != nil {
		return err
	}
	var text strings.Builder
	r.page(&text, plots)
	if err := page.Write(filepath.Join(dir, prefix+".md"), text.String()); err != nil {
		return err
	}
	if readme == "" {
		return nil
	}
	return updateReadme(readme, r.summary())
}
