package compat

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"
)

// Row is one recorded request and its answer.
type Row struct {
	Name  string
	Phase string // the settings of the server: A default, B explicit control with a broken model, C queue limits, D the
	// configured repository, E the same with explicit control
	Method   string
	Path     string
	Request  []byte        // all bytes that are sent
	Requests int           // the number of requests in Request
	Wait     time.Duration // before the row is sent
	Answer   Answer        // Triton's answer
}

// model returns the name of the model in the path, if there is one.
func (r *Row) model() string {
	for _, prefix := range []string{"/v2/models/", "/v2/repository/models/"} {
		if rest, ok := strings.CutPrefix(r.Path, prefix); ok {
			name, _, _ := strings.Cut(rest, "/")
			return name
		}
	}
	return ""
}

// Answer is one answer. Status is 0 if the connection was closed without an answer.
type Answer struct {
	Status  int
	Header  map[string]string // by canonical name
	Body    []byte            // decompressed
	Answers int               // the number of answers on the connection
}

// line is a Row in the file.
type line struct {
	Name             string            `json:"name"`
	Phase            string            `json:"phase"`
	Method           string            `json:"method"`
	Path             string            `json:"path"`
	Headers          [][2]string       `json:"headers"`
	Body             string            `json:"body"`
	BodyEncoding     string            `json:"body_encoding"`
	RawRequest       string            `json:"raw_request"` // all bytes that were sent, in place of the four above
	Status           int               `json:"status"`
	Response         string            `json:"response"`
	ResponseEncoding string            `json:"response_encoding"`
	ResponseHeaders  map[string]string `json:"response_headers"`
	WaitBefore       int               `json:"wait_before_ms"`
}

// Load reads a record, one row a line.
func Load(file string) ([]Row, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []Row
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		row, err := parse(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s: row %d: %w", file, len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

// unique returns the name of a row in the tables. Those from phase D on repeat names of the rows
// before, so they get their phase.
func unique(phase, name string) string {
	if phase < "D" {
		return name
	}
	return phase + "." + name
}

func parse(text []byte) (Row, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return Row{}, err
	}
	body, err := decode(l.Body, l.BodyEncoding)
	if err != nil {
		return Row{}, err
	}
	if long := longBody(l.Name); long != "" {
		body = []byte(long)
	}
	response, err := decode(l.Response, l.ResponseEncoding)
	if err != nil {
		return Row{}, err
	}
	row := Row{Name: unique(l.Phase, l.Name), Phase: l.Phase, Method: l.Method, Path: l.Path, Requests: 1, Wait: time.Duration(l.WaitBefore) * time.Millisecond}
	row.Answer = Answer{Status: l.Status, Header: map[string]string{}, Body: response}
	maps.Copy(row.Answer.Header, l.ResponseHeaders)
	row.Answer.inflate()
	if l.Status != 0 {
		row.Answer.Answers = 1
	}
	if l.RawRequest != "" {
		row.Request = []byte(l.RawRequest)
		row.Requests = max(1, strings.Count(l.RawRequest, " HTTP/"))
		return row, nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", l.Method, l.Path)
	for _, h := range l.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	b.Write(body)
	row.Request = b.Bytes()
	return row, nil
}

// longBody returns the bodies that the record shortens.
func longBody(row string) string {
	const deep = 100_000
	opened, closed := strings.Repeat("[", deep), strings.Repeat("]", deep)
	switch row {
	case "deep_nesting_100k_risky":
		return opened
	case "deep_nesting_100k_balanced_risky":
		return `{"id":` + opened + closed + `}`
	case "deep_data_nesting_100k_risky":
		return `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","data":` + opened + "1" + closed + `}]}`
	case "id_1MB":
		halves := strings.Repeat("0.5,", 16)
		return `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","data":[` + strings.TrimSuffix(halves, ",") +
			`]}],"id":"` + strings.Repeat("x", 1<<20) + `"}`
	default:
		return ""
	}
}

func decode(s, encoding string) ([]byte, error) {
	if encoding == "base64" {
		return base64.StdEncoding.DecodeString(s)
	}
	return []byte(s), nil
}
