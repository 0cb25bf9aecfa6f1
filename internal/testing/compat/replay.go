package compat

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// answerTimeout bounds one row; the longest recorded answer took 0.3 s.
const answerTimeout = 30 * time.Second

// concurrent marks rows that were sent at the same time; a number follows it in the name.
const concurrent = "_concurrent_"

// Result is a row and the answer of the server under test.
type Result struct {
	Row
	Got Answer
}

// Replay sends the rows in order to the server at addr, each on a connection of its own. Rows
// that were sent at the same time are sent so again.
func Replay(ctx context.Context, addr string, rows []Row) ([]Result, error) {
	var results []Result
	for len(rows) > 0 {
		n := 1
		if stem, _, ok := strings.Cut(rows[0].Name, concurrent); ok {
			for n < len(rows) && strings.HasPrefix(rows[n].Name, stem+concurrent) {
				n++
			}
		}
		time.Sleep(rows[0].Wait) // as the record has it
		group, err := sendAll(ctx, addr, rows[:n])
		if err != nil {
			return results, err
		}
		results, rows = append(results, group...), rows[n:]
	}
	return results, nil
}

// sendAll sends rows at the same time. Which of them is refused is random, so the answers are
// assigned in the order of their status.
func sendAll(ctx context.Context, addr string, rows []Row) ([]Result, error) {
	results := make([]Result, len(rows))
	errs := make([]error, len(rows))
	var senders sync.WaitGroup
	for i, row := range rows {
		senders.Go(func() {
			results[i].Row = row
			results[i].Got, errs[i] = Send(ctx, addr, row)
		})
	}
	senders.Wait()
	answers := make([]Answer, len(rows))
	for i := range results {
		answers[i] = results[i].Got
	}
	slices.SortStableFunc(results, func(a, b Result) int { return cmp.Compare(a.Answer.Status, b.Answer.Status) })
	slices.SortStableFunc(answers, func(a, b Answer) int { return cmp.Compare(a.Status, b.Status) })
	for i := range results {
		results[i].Got = answers[i]
	}
	return results, errors.Join(errs...)
}

// Send sends a row's bytes unchanged and reads as many answers as there are requests in them.
// It returns the first.
func Send(ctx context.Context, addr string, row Row) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close() //nolint:errcheck // answered, or failed already
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	var sender sync.WaitGroup
	sender.Go(func() { _, _ = conn.Write(row.Request) }) // the server may answer before it has read everything
	answer, err := receive(conn, row)
	_ = conn.Close() // ends the sender
	sender.Wait()
	if err := errors.Join(ctx.Err(), err); err != nil {
		return Answer{}, fmt.Errorf("%s: %w", row.Name, err)
	}
	return answer, nil
}

func receive(conn io.Reader, row Row) (Answer, error) {
	var first Answer
	r := bufio.NewReader(conn)
	for n := range row.Requests {
		answer, err := receiveOne(r, row.Method)
		if err != nil {
			if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return first, nil // closed without an answer, or with fewer
			}
			return first, err
		}
		if n == 0 {
			first = answer
		}
		first.Answers = n + 1
	}
	return first, nil
}

func receiveOne(r *bufio.Reader, method string) (Answer, error) {
	resp, err := http.ReadResponse(r, &http.Request{Method: strings.ToUpper(method)})
	for err == nil && resp.StatusCode < http.StatusOK { // 100 Continue
		resp, err = http.ReadResponse(r, &http.Request{Method: strings.ToUpper(method)})
	}
	if err != nil {
		return Answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return Answer{}, err
	}
	a := Answer{Status: resp.StatusCode, Header: map[string]string{}, Body: body}
	for name := range resp.Header {
		a.Header[name] = resp.Header.Get(name)
	}
	a.inflate()
	return a, nil
}

// inflate decompresses the body; its Content-Encoding stays. A body that is not encoded as it
// says is not changed.
func (a *Answer) inflate() {
	var r io.Reader
	var err error
	switch a.Header["Content-Encoding"] {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(a.Body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(a.Body))
	default:
		return
	}
	if err != nil {
		return
	}
	if body, err := io.ReadAll(r); err == nil {
		a.Body = body
	}
}
