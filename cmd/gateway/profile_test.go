package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice.io/sluice/internal/offline"
)

const rowsCSV = "a,kind,b\n1,red,10\n2,red,20\n3,green,\n"

// profileLine runs gateway profile. Arguments without a subcommand are those of build.
func profileLine(t *testing.T, in string, args ...string) result {
	t.Helper()
	if len(args) == 0 || args[0] != "show" && args[0] != "compare" && args[0] != "merge" && args[0] != "subtract" && args[0] != "former" {
		args = append([]string{"build"}, args...)
	}
	args = slices.DeleteFunc(args, func(arg string) bool { return arg == "former" })
	var out, errOut strings.Builder
	cmd := newProfile()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{}, args...)) // not nil: nil would mean the arguments of the test
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	code := exitOK
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		cmd.PrintErrln(errorText(err))
		if code = exitFailed; isUsage(err) {
			code = exitUsage
		}
	}
	return result{code, out.String(), errOut.String()}
}

func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

func rowsFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProfile(t *testing.T) {
	file := rowsFile(t, rowsCSV)
	to := filepath.Join(filepath.Dir(file), "p.json")
	r := profileLine(t, "", file, "-o", to)
	if r.code != exitOK || r.out != "" || r.errOut != `COLUMN  KIND   PLACE    HOW
a       input  a[0]     an input: there is no model to match
kind    input  kind[0]  an input: there is no model to match
b       input  b[0]     an input: there is no model to match
`+to+": 3 features of 3 rows\n" {
		t.Fatalf("%+v", r)
	}
	p, err := readProfile(to)
	if err != nil || p.Source != "rows.csv" || p.Rows != 3 || p.Features[2].Read.Missing != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}

	r = profileLine(t, "", "show", to)
	for _, part := range []string{"rows.csv", "3 (3 sampled)", "sha256:", "a[0]", "33.333 %"} {
		if r.code != exitOK || !strings.Contains(r.out, part) {
			t.Errorf("no %q in %+v", part, r)
		}
	}
	r = profileLine(t, "", "show", to, "--html")
	if r.code != exitOK || !strings.HasPrefix(r.out, "<!doctype html>") || strings.Contains(r.out, "ZgotmplZ") || wellFormed(t, r.out) == 0 {
		t.Errorf("%+v", r)
	}
	r = profileLine(t, "", "show", to, "-o", "json")
	var shown offline.Profile
	if err := json.Unmarshal([]byte(r.out), &shown); err != nil || len(shown.Features) != 3 {
		t.Errorf("%v of %s", err, r.out)
	}
}

// TestProfileCompare: the exit code is the verdict.
func TestProfileMerge(t *testing.T) {
	dir := t.TempDir()
	build := func(name, rows string, args ...string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if r := profileLine(t, rows, append([]string{"-", "-o", file}, args...)...); r.code != exitOK {
			t.Fatalf("%+v", r)
		}
		return file
	}
	a := build("a.json", shiftedRows(1, 1000, 1e6, 1e6))
	b := build("b.json", shiftedRows(2, 500, 1e6, 1e6), "--bins-of", a)
	merged := filepath.Join(dir, "merged.json")
	if r := profileLine(t, "", "merge", a, b, "-o", merged); r.code != exitOK || r.errOut != merged+": 2 features of 1500 rows\n" {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "show", merged); r.code != exitOK || !strings.Contains(r.out, "1500") {
		t.Errorf("%+v", r)
	}
	rest, again := filepath.Join(dir, "rest.json"), filepath.Join(dir, "again.json")
	if r := profileLine(t, "", "subtract", merged, b, "-o", rest); r.code != exitOK || !strings.HasSuffix(r.errOut, rest+": 2 features of 1000 rows\n") {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "merge", rest, b, "-o", again); r.code != exitOK || r.errOut != again+": 2 features of 1500 rows\n" {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{a, merged}, {a, b}} {
		if r := profileLine(t, "", append([]string{"subtract"}, args...)...); r.code != exitFailed || r.out != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := profileLine(t, "", "subtract", a); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
	own := build("own.json", shiftedRows(3, 500, 1e6, 1e6))
	if r := profileLine(t, "", "subtract", merged, own); r.code != exitFailed || !strings.Contains(r.errOut, "has other bins in the other profile") {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "merge", a, own); r.code != exitFailed || !strings.Contains(r.errOut, "has other bins in the other profile") {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "merge", a); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}

func TestProfileCompare(t *testing.T) {
	dir := t.TempDir()
	build := func(name, rows string, args ...string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if r := profileLine(t, rows, append([]string{"-", "-o", file}, args...)...); r.code != exitOK {
			t.Fatalf("%+v", r)
		}
		return file
	}
	a := build("a.json", shiftedRows(1, 3000, 1e6, 1e6))
	f := func(code int, b, errOut string, want ...string) {
		t.Helper()
		r := profileLine(t, "", "compare", a, b)
		if r.code != code || r.errOut != errOut {
			t.Errorf("%s: %+v, want %d %q", b, r, code, errOut)
		}
		for _, part := range want {
			if !strings.Contains(r.out, part) {
				t.Errorf("%s: no %q in %s", b, part, r.out)
			}
		}
	}
	f(exitOK, a, "", "Verdict: same; 0 of 2 features differ by more than the tolerances\n", "x        input  same     -       1  0.0000  0.0000 to 0.0000")
	f(exitOK, build("b.json", shiftedRows(2, 3000, 1e6, 1e6)), "", "Verdict: same;")
	const differ = "gateway: the profiles differ\n"
	moved := build("moved.json", shiftedRows(3, 3000, 1, 2001))
	f(exitFailed, moved, differ, "Verdict: differs; 2 of 2", "missing: 33.3 % of the rows, 0 % in A", "mean higher by ", " s.d.", "+33.33 pp", " %  ")
	f(exitFailed, build("less.json", shiftedRows(2, 3000, 1e6, 1e6), "--columns", "x"), differ, "only in A: y", "Verdict: differs; 0 of 1")
	f(exitFailed, build("few.json", "y,x\n1,2\n3,4\n"), "gateway: it cannot be decided whether the profiles differ: one of them has fewer than 50 rows\n", "undecided")

	if r := profileLine(t, "", "compare", a, moved, "--tolerance", "9", "--quality-tolerance", "0.99", "--range-tolerance", "0.99"); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "compare", a, moved, "--tolerance", "0"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
	r := profileLine(t, "", "compare", a, moved, "-o", "json")
	var c offline.ProfileComparison
	if err := json.Unmarshal([]byte(r.out), &c); err != nil || r.code != exitFailed || c.Verdict != offline.ProfilesDiffer || len(c.Features) != 2 || c.Features[0].P > c.Features[1].P || c.Features[0].Change == "" {
		t.Errorf("%v, %d: %s", err, r.code, r.out)
	}
}

func TestProfileOutputRefused(t *testing.T) {
	file := rowsFile(t, rowsCSV)
	dir := filepath.Dir(file)
	link := filepath.Join(dir, "link.csv")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	f := func(to, want string) {
		t.Helper()
		r := profileLine(t, "", file, "-o", to)
		if r.code == exitOK || !strings.Contains(r.errOut, want) || strings.Contains(r.errOut, "left out") {
			t.Errorf("-o %s: %+v; want '%s' before anything is read", to, r, want)
		}
	}
	f(file, "is also the input")
	f(link, "is also the input")
	f(dir, "is a folder")
	f(filepath.Join(dir, "none", "p.json"), "no such file or directory")
	if text, err := os.ReadFile(file); err != nil || string(text) != rowsCSV {
		t.Errorf("the rows are now %q, %v", text, err)
	}
}

// A pipe or a device must not be replaced: root could replace /dev/null.
func TestProfileToPipe(t *testing.T) {
	file := rowsFile(t, rowsCSV)
	pipe := filepath.Join(filepath.Dir(file), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(pipe, os.O_RDWR, 0) // both ends, so that opening does not block
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if r := profileLine(t, "", file, "-o", pipe); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe is now %v, %v", info.Mode(), err)
	}
	text := make([]byte, 64<<10)
	n, err := in.Read(text)
	if err != nil || !json.Valid(text[:n]) {
		t.Errorf("through the pipe came %q, %v", text[:n], err)
	}
}

func TestProfileToStandardOutput(t *testing.T) {
	r := profileLine(t, "1,2\n3,4\n", "-", "--header", "no", "--outputs", "col2")
	p, err := offline.ReadProfile(strings.NewReader(r.out))
	if r.code != exitOK || err != nil || p.Features[1].Kind != "output" || p.Source != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestProfileFormerName: the old form of build works, and the command names the new one.
func TestProfileFormerName(t *testing.T) {
	r := profileLine(t, "a,b\n1,2\n3,4\n", "former", "-")
	p, err := offline.ReadProfile(strings.NewReader(r.out))
	if r.code != exitOK || err != nil || len(p.Features) != 2 || !strings.HasPrefix(r.errOut, "gateway: gateway profile DATA.csv is the old form; use gateway profile build DATA.csv\n") {
		t.Errorf("%+v, %v", r, err)
	}
	if r := profileLine(t, "", "former"); r.code != exitUsage || !strings.Contains(r.errOut, "build, show, compare, merge or subtract") {
		t.Errorf("%+v", r)
	}
}

const irisColumns = `gateway: the columns are matched in the order of the file, since no name is that of an element of the model's inputs; if the model has another order, use --map
COLUMN  KIND    PLACE             HOW
a       input   input[0]          by order
b       input   input[1]          by order
c       input   input[2]          by order
d       input   input[3]          by order
-       output  label[0]          computed by the model
-       output  probabilities[0]  computed by the model
-       output  probabilities[1]  computed by the model
-       output  probabilities[2]  computed by the model
`

func TestProfileOfDemoModel(t *testing.T) {
	file := rowsFile(t, "a,b,c,d\n5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2\n")
	models := filepath.Join("..", "..", "models")
	r := profileLine(t, "", file, "--model-repository", models, "--model", "iris/1")
	p, err := offline.ReadProfile(strings.NewReader(r.out))
	if r.code != exitOK || err != nil || p.Model != "iris" || p.Version != 1 || p.OutputsOf != 1 || p.Features[3].Element != 3 || p.Features[3].Datatype != "FP32" {
		t.Errorf("%+v, %v", r, err)
	}
	if n := len(p.Features); n != 4+1+3 || p.Features[4].Name != "label" || p.Features[7].Name != "probabilities[2]" || p.Features[7].Mean <= 0 || r.errOut != irisColumns {
		t.Errorf("%d features: %+v", n, p.Features[n-1])
	}
	r = profileLine(t, "", file, "--model-repository", models, "--model", "iris")
	if p, err := offline.ReadProfile(strings.NewReader(r.out)); err != nil || p.Version != 0 || p.OutputsOf != 3 || !strings.Contains(r.errOut, "the outputs are those of version 3") {
		t.Errorf("%+v, %v", r, err)
	}
	r = profileLine(t, "", file, "--model-repository", models, "--model", "iris", "--outputs-from-model=false")
	if p, err := offline.ReadProfile(strings.NewReader(r.out)); r.code != exitOK || err != nil || len(p.Features) != 4 || p.OutputsOf != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	partly := []string{file, "--model-repository", models, "--model", "iris", "--columns", "a", "--map", "a=input[0]"}
	r = profileLine(t, "", partly...)
	if p, err := offline.ReadProfile(strings.NewReader(r.out)); r.code != exitOK || err != nil || len(p.Features) != 1 ||
		!strings.Contains(r.errOut, "gateway: outputs are left out: the file has columns for 1 of the 4 elements of input 'input'\n") {
		t.Errorf("%+v, %v", r, err)
	}
	if r = profileLine(t, "", append(partly, "--outputs-from-model")...); r.code != exitFailed || !strings.Contains(r.errOut, "1 of the 4 elements") {
		t.Errorf("%+v", r)
	}
	r = profileLine(t, "", file, "--model-file", filepath.Join(models, "iris", "1", "model.onnx"))
	if p, err := offline.ReadProfile(strings.NewReader(r.out)); r.code != exitOK || err != nil || p.Model != "" || p.Features[3].Element != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestProfileRefused(t *testing.T) {
	file := rowsFile(t, rowsCSV)
	broken := rowsFile(t, "a,b\n1,2\n3\n")
	f := func(code int, want string, args ...string) {
		t.Helper()
		if r := profileLine(t, "", args...); r.code != code || !strings.Contains(r.errOut, want) || r.out != "" {
			t.Errorf("%v: %+v, want %d %q", args, r, code, want)
		}
	}
	f(exitUsage, "expected one file")
	f(exitUsage, "expected one file", file, file)
	f(exitUsage, "--header maybe", file, "--header", "maybe")
	f(exitUsage, "must be given together", file, "--model", "iris")
	f(exitUsage, "not both", file, "--model", "iris", "--model-repository", "m", "--model-file", "x")
	f(exitUsage, "--map needs --model or --model-file", file, "--map", "a=x[0]")
	f(exitUsage, "--outputs-from-model needs --model or --model-file", file, "--outputs-from-model")
	f(exitFailed, "the file has no column 'z' for the target", file, "--target", "z")
	f(exitUsage, "version 'one' is not a valid number", file, "--model", "iris/one", "--model-repository", "m")
	f(exitUsage, "expected one profile", "show")
	f(exitUsage, "expected two profiles", "compare", file)
	f(exitUsage, "expected table, wide, json, yaml or name", "show", file, "-o", "xml")
	f(exitFailed, "no such file", "gone.csv")
	f(exitFailed, "line 3 has 1 fields; expected 2", broken)
	f(exitFailed, "no column 'z'; it has 'a', 'kind', 'b'", file, "--columns", "a,z")
	f(exitFailed, "output 'z' is not a column", file, "--outputs", "z")
	f(exitFailed, "is not a profile", "show", file)

	to := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(to, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(exitFailed, "line 3", broken, "-o", to)
	if text, err := os.ReadFile(to); err != nil || string(text) != "before" {
		t.Errorf("a failed profile left %q, %v", text, err)
	}
	f(exitFailed, "no such file", file, "-o", filepath.Join(t.TempDir(), "gone", "p.json"))
}

func TestProgress(t *testing.T) {
	var b strings.Builder
	p := progress{w: &b, size: 200e6, started: time.Now().Add(-time.Second)}
	p.show(50e6, 1000)
	if got := b.String(); !strings.HasPrefix(got, "\r25 %, 1000 rows, 50 MB of 200 MB, ") || !strings.HasSuffix(got, " MB/s") {
		t.Errorf("%q", got)
	}
	b.Reset()
	p.every = time.Hour
	p.show(60e6, 2000)
	if b.Len() > 0 {
		t.Errorf("%q within the interval", b.String())
	}
	p.clear()
	if got := b.String(); strings.Trim(got, "\r ") != "" || !strings.HasSuffix(got, "\r") {
		t.Errorf("%q", got)
	}
}

func TestPrintLabelled(t *testing.T) {
	var b strings.Builder
	printLabelled(&b, nil)
	printLabelled(&b, &offline.LabelledRows{Rows: 4, Right: 3, Output: "scores", Classes: []offline.LabelledClass{{Name: "no", Rows: 3, Predicted: 2, Right: 2}, {Name: "yes", Rows: 1, Predicted: 2, Right: 1}}})
	if want := "\n4 rows have a label; output scores is right for 75 % of them\nCLASS\tROWS\tPREDICTED\tRIGHT\nno\t3\t2\t2\nyes\t1\t2\t1\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
