package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/client"
)

// attempts answers with each step in turn, and records the times of requests.
type attempts struct {
	began time.Time
	at    []time.Duration
	steps []func() (*http.Response, error)
}

func (a *attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	a.at = append(a.at, time.Since(a.began))
	step := a.steps[min(len(a.at), len(a.steps))-1]
	return step()
}

func says(status int, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return answer(status, `{"outputs":[]}`, headers...), nil
	}
}

func breaks(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

// try sends a request to a model, and returns the times of the attempts in the synctest bubble.
func try(t *testing.T, o client.Options, limit time.Duration, steps ...func() (*http.Response, error)) ([]time.Duration, error) {
	t.Helper()
	a := &attempts{began: time.Now(), steps: steps}
	c := over(o, a.RoundTrip)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := c.Infer(ctx, "iris", client.InferRequest{Inputs: []client.Tensor{client.NewTensor("x", []int64{1}, []int8{1})}})
	return a.at, err
}

func TestRetries(t *testing.T) {
	refused := breaks(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	f := func(o client.Options, attempts int, ok bool, steps ...func() (*http.Response, error)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			at, err := try(t, o, time.Minute, steps...)
			if len(at) != attempts || ok != (err == nil) {
				t.Errorf("%d attempts, %v, want %d, success %v", len(at), err, attempts, ok)
			}
		})
	}
	f(client.Options{}, 1, true, says(200))
	f(client.Options{}, 2, true, says(429), says(200))
	f(client.Options{}, 3, true, says(503), refused, says(200))
	f(client.Options{}, 3, false, says(503))
	f(client.Options{}, 3, false, refused)
	f(client.Options{Retries: -1}, 1, false, says(503))
	f(client.Options{Retries: 5}, 6, false, says(503))
	for _, status := range []int{301, 400, 404, 500, 502, 504} {
		f(client.Options{}, 1, false, says(status))
	}
	// A part of the request may have been sent.
	f(client.Options{}, 1, false, breaks(&net.OpError{Op: "write", Err: syscall.EPIPE}))
	f(client.Options{}, 1, false, breaks(&net.OpError{Op: "read", Err: syscall.ECONNRESET}))
	f(client.Options{}, 1, false, breaks(errors.New("tls: bad certificate")))
	f(client.Options{}, 1, false, breaks(&net.OpError{Op: "dial", Err: context.Canceled}))
}

func TestRetriesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, err := try(t, client.Options{Retries: 3, Backoff: 100 * time.Millisecond}, time.Minute,
			says(503), says(503), says(429, "Retry-After", "2"), says(200))
		if err != nil || len(at) != 4 {
			t.Fatal(at, err)
		}
		for i, bound := range []struct{ least, most time.Duration }{
			{50 * time.Millisecond, 100 * time.Millisecond},
			{100 * time.Millisecond, 200 * time.Millisecond},
			{2200 * time.Millisecond, 2400 * time.Millisecond},
		} {
			if wait := at[i+1] - at[i]; wait < bound.least || wait > bound.most {
				t.Errorf("wait %d takes %v, want %v to %v", i, wait, bound.least, bound.most)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat)
		at, err := try(t, client.Options{}, time.Minute, says(503, "Retry-After", date), says(200))
		if err != nil || len(at) != 2 || at[1] < 2*time.Second || at[1] > 4*time.Second {
			t.Errorf("%v, %v, want a wait until the date", at, err)
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	f := func(o client.Options, limit time.Duration, steps ...func() (*http.Response, error)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			at, err := try(t, o, limit, steps...)
			e, ok := errors.AsType[*client.Error](err)
			if len(at) != 1 || !ok || e.Status != 503 || e.RetryAfter == 0 || time.Since(began) != 0 {
				t.Errorf("%d attempts, %v after %v, want the first answer at once", len(at), err, time.Since(began))
			}
		})
	}
	f(client.Options{}, 5*time.Second, says(503, "Retry-After", "5"))                // beyond the deadline
	f(client.Options{}, time.Hour, says(503, "Retry-After", "11"))                   // beyond MaxWait
	f(client.Options{}, time.Hour, says(503, "Retry-After", "18446744073709551615")) // far beyond MaxWait

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := over(client.Options{}, func(*http.Request) (*http.Response, error) {
			cancel()
			return answer(503, "{}", "Retry-After", "1"), nil
		})
		_, err := c.Infer(ctx, "iris", client.InferRequest{})
		if _, ok := errors.AsType[*client.Error](err); !ok || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the answer and that the context has ended", err)
		}
	})
}

func TestHealthAndControlAreAskedOnce(t *testing.T) {
	f := func(call func(context.Context, *client.Client) error) {
		t.Helper()
		n := 0
		c := over(client.Options{}, func(*http.Request) (*http.Response, error) {
			n++
			return answer(503, `{"error":"starting"}`), nil
		})
		if err := call(t.Context(), c); err == nil || n != 1 {
			t.Errorf("asked %d times: %v", n, err)
		}
	}
	f(func(ctx context.Context, c *client.Client) error { return c.Ready(ctx) })
	f(func(ctx context.Context, c *client.Client) error { return c.Live(ctx) })
	f(func(ctx context.Context, c *client.Client) error { return c.ModelReady(ctx, "m", 0) })
	f(func(ctx context.Context, c *client.Client) error { _, err := c.Reload(ctx); return err })
}

// A refused connection in a real network counts as a request that was not sent.
func TestNobodyListensOnTheDataPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	c, err := client.New(client.Options{Data: l.Addr().String(), Retries: 1, Backoff: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Infer(t.Context(), "iris", client.InferRequest{})
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || !strings.HasPrefix(err.Error(), "no answer from ") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsNameTheRequest(t *testing.T) {
	f := func(status int, want string) {
		t.Helper()
		c := over(client.Options{Retries: -1}, func(*http.Request) (*http.Response, error) {
			return answer(status, `{"error":"no"}`, "X-Request-Id", "r1", "Retry-After", "7"), nil
		})
		_, err := c.Infer(t.Context(), "iris", client.InferRequest{})
		e, ok := errors.AsType[*client.Error](err)
		if !ok || e.RequestID != "r1" || e.RetryAfter != 7*time.Second || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(500, "no (500 Internal Server Error, request r1)")
	f(429, "no (429 Too Many Requests)")
}
