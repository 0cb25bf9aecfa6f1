package compat

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// rule is a difference in the format of many answers. It converts Triton's answer to Sluice's,
// and reports whether there was anything to convert.
type rule struct {
	Difference
	turn func(row Row, a *Answer) bool
}

// everywhere returns the rules.
func everywhere() []rule {
	return []rule{
		{Difference{
			Kind: Deliberate, Case: "`Content-Type` of errors", Triton: "often `text/plain`", Sluice: "`application/json`",
			Why: "the body is JSON",
		}, errorsAreJSON},
		{Difference{
			Kind: Deliberate, Case: "texts of errors", Triton: "begin `[request id: …]`", Sluice: "begin with what is wrong",
			Why: "the header `X-Request-Id` of every answer has the id",
		}, withoutRequestID},
		{Difference{
			Kind: Deliberate, Case: "FP32 values in JSON", Triton: "printed as doubles, `0.10000000149011612`",
			Sluice: "the shortest text that reads back as the same float, `0.1`", Why: "the same value in half the bytes",
		}, shortFloats},
		{Difference{
			Kind: Deliberate, Case: "`memory_usage` in statistics", Triton: "empty", Sluice: "the bytes that the model's instances hold", Why: "Sluice knows it",
		}, withMemory},
	}
}

func errorsAreJSON(_ Row, a *Answer) bool {
	if a.Status < 400 || a.Header["Content-Type"] == "application/json" {
		return false
	}
	a.Header["Content-Type"] = "application/json"
	return true
}

var requestID = regexp.MustCompile(`\[request id: [^\]]*\] `)

func withoutRequestID(_ Row, a *Answer) bool {
	if a.Status < 400 || !requestID.Match(a.Body) {
		return false
	}
	a.Body = requestID.ReplaceAll(a.Body, nil)
	return true
}

var fp32Data = regexp.MustCompile(`("datatype":"FP32","shape":\[[^\]]*\],"data":)(\[[^\]]*\])`)

func shortFloats(_ Row, a *Answer) bool {
	changed := false
	a.Body = fp32Data.ReplaceAllFunc(a.Body, func(match []byte) []byte {
		groups := fp32Data.FindSubmatch(match)
		var numbers []json.Number
		if json.Unmarshal(groups[2], &numbers) != nil {
			return match // not all are numbers: NaN
		}
		short := make([]string, len(numbers))
		for i, n := range numbers {
			f, _ := strconv.ParseFloat(n.String(), 32)
			short[i] = strconv.FormatFloat(f, 'g', -1, 32)
			if !strings.ContainsAny(short[i], ".e") {
				short[i] += ".0"
			}
			changed = changed || len(short[i]) < len(n)
		}
		return append(groups[1], "["+strings.Join(short, ",")+"]"...)
	})
	return changed
}

func withMemory(row Row, a *Answer) bool {
	none, some := []byte(`"memory_usage":[]`), []byte(`"memory_usage":[{"type":"CPU","id":0,"byte_size":0}]`)
	if !strings.HasSuffix(row.Path, "/stats") || !bytes.Contains(a.Body, none) {
		return false
	}
	a.Body = bytes.ReplaceAll(a.Body, none, some)
	return true
}
