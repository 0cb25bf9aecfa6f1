package jwt_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/jwt"
)

// server answers requests for keys, without a network, so that the time can be a test's.
type server struct {
	mu     sync.Mutex
	answer func(*http.Request) (status int, body string, header http.Header)
	times  []time.Time // of the requests
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.times = append(s.times, time.Now())
	answer := s.answer
	s.mu.Unlock()
	if answer == nil { // it hangs
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, body, header := answer(r)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *server) set(status int, body string, header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(*http.Request) (int, string, http.Header) { return status, body, header }
}

func (s *server) hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = nil
}

// requests returns the number of requests since the last call.
func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.times)
	s.times = nil
	return n
}

func fromURL(url string) jwt.Issuer {
	return jwt.Issuer{
		Name: issuer, Audience: audience, KeysURL: url, SubjectClaim: "sub", GroupsClaim: "groups", Algorithms: everything(), Leeway: 30 * time.Second,
	}
}

// start runs a verifier in a synctest bubble and waits until it has nothing to do. The result stops it.
func start(t *testing.T, s *server, log *zap.Logger, issuers ...jwt.Issuer) (*jwt.Verifier, func()) {
	v, err := jwt.New(jwt.Options{Issuers: issuers, Transport: s, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	synctest.Wait()
	return v, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestServerThatIsNotThereAtTheStart(t *testing.T) {
	key := newKey(t, "1")
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		s := &server{}
		s.set(0, "", nil)
		v, stop := start(t, s, zap.New(core), fromURL("https://issuer.example/keys"))
		defer stop()
		_, err := v.Verify(key.token(t, nil))
		wantError(t, err, infer.Unavailable, "the keys of issuer 'https://issuer.example' are not loaded yet")
		after(time.Hour)
		if got := s.requests(); got < 60 || got > 140 {
			t.Errorf("%d requests in an hour, want one every half to whole minute", got)
		}
		s.set(http.StatusOK, keySet(t, key.public()), nil)
		after(time.Minute)
		if _, err := v.Verify(key.token(t, nil)); err != nil {
			t.Error(err)
		}
		if got := v.Stats()[0]; got.Keys != 1 || got.Failures < 60 || time.Since(got.Updated) > time.Minute {
			t.Errorf("got %+v", got)
		}
		if got := logs.FilterMessageSnippet("cannot be loaded").Len(); got != 1 {
			t.Errorf("the log tells it %d times, want once", got)
		}
	})
}

// Whatever the server does, the last good keys stay, and Verify does not wait.
func TestServerThatFailsLater(t *testing.T) {
	key := newKey(t, "1")
	keys := keySet(t, key.public())
	for name, fail := range map[string]func(*server){
		"hangs":           (*server).hang,
		"is gone":         func(s *server) { s.set(0, "", nil) },
		"500":             func(s *server) { s.set(http.StatusInternalServerError, keys, nil) },
		"204":             func(s *server) { s.set(http.StatusNoContent, "", nil) },
		"304 unasked":     func(s *server) { s.set(http.StatusNotModified, "", nil) },
		"garbage":         func(s *server) { s.set(http.StatusOK, "<html>", nil) },
		"empty":           func(s *server) { s.set(http.StatusOK, "", nil) },
		"no keys":         func(s *server) { s.set(http.StatusOK, `{"keys":[]}`, nil) },
		"another object":  func(s *server) { s.set(http.StatusOK, `{"error":"busy"}`, nil) },
		"large":           func(s *server) { s.set(http.StatusOK, keys+strings.Repeat(" ", 256<<10), nil) },
		"many keys":       func(s *server) { s.set(http.StatusOK, `{"keys":[`+strings.Repeat("{},", 64)+`{}]}`, nil) },
		"a secret key":    func(s *server) { s.set(http.StatusOK, `{"keys":[{"kty":"oct","kid":"1","k":"c2VjcmV0"}]}`, nil) },
		"redirect to ftp": func(s *server) { s.set(http.StatusFound, "", http.Header{"Location": {"ftp://x/"}}) },
		"redirect to http": func(s *server) {
			s.set(http.StatusFound, "", http.Header{"Location": {"http://issuer.example/keys"}})
		},
		"redirect to this machine": func(s *server) { s.set(http.StatusFound, "", http.Header{"Location": {"http://127.0.0.1/keys"}}) },
		"endless redirects":        func(s *server) { s.set(http.StatusFound, "", http.Header{"Location": {"/again"}}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.InfoLevel)
				s := &server{}
				s.set(http.StatusOK, keys, nil)
				v, stop := start(t, s, zap.New(core), fromURL("https://issuer.example/keys"))
				defer stop()
				fail(s)
				after(30 * time.Minute)
				began := time.Now()
				if _, err := v.Verify(key.token(t, nil)); err != nil || time.Since(began) != 0 {
					t.Errorf("got %v after %v", err, time.Since(began))
				}
				if got := v.Stats()[0]; got.Keys != 1 || got.Failures == 0 || time.Since(got.Updated) < 20*time.Minute {
					t.Errorf("got %+v", got)
				}
				s.set(http.StatusOK, keys, nil)
				after(2 * time.Minute)
				if got := v.Stats()[0]; time.Since(got.Updated) > 2*time.Minute {
					t.Errorf("the keys were not loaded again: %+v", got)
				}
				if got := logs.FilterMessageSnippet("cannot be loaded").Len(); got != 1 {
					t.Errorf("the log tells of the failure %d times, want once", got)
				}
				if got := logs.FilterMessageSnippet("can be loaded again").Len(); got != 1 {
					t.Errorf("the log tells of the end %d times, want once", got)
				}
			})
		})
	}
}

func TestUnknownKeyIsFetchedEarly(t *testing.T) {
	first, second := newKey(t, "1"), newKey(t, "2")
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.set(http.StatusOK, keySet(t, first.public()), http.Header{"Cache-Control": {"max-age=3600"}})
		v, stop := start(t, s, zap.NewNop(), fromURL("https://issuer.example/keys"))
		defer stop()
		s.requests()
		s.set(http.StatusOK, keySet(t, second.public()), http.Header{"Cache-Control": {"max-age=3600"}})
		_, err := v.Verify(second.token(t, nil))
		wantRefused(t, err, "try again in a minute")
		synctest.Wait()
		if _, err := v.Verify(second.token(t, nil)); err != nil {
			t.Error(err)
		}
		_, err = v.Verify(first.token(t, nil)) // withdrawn
		wantRefused(t, err, "the token's key is not one of its issuer's")
		s.requests()
		unknown := newKey(t, "3").token(t, nil)
		for range 600 { // ten minutes
			_, _ = v.Verify(unknown)
			after(time.Second)
		}
		if got := s.requests(); got < 9 || got > 10 {
			t.Errorf("%d fetches in ten minutes with unknown keys, want one a minute", got)
		}
	})
}

func TestFetchesFollowCacheControl(t *testing.T) {
	key := newKey(t, "1")
	for header, want := range map[string]time.Duration{
		"":                                    10 * time.Minute,
		"public":                              10 * time.Minute,
		"public, max-age=1200":                20 * time.Minute,
		"MAX-AGE=1200":                        20 * time.Minute,
		`max-age="1200"`:                      20 * time.Minute,
		"max-age=0":                           time.Minute,
		"max-age=99999999999999999999":        time.Hour,
		"max-age=soon":                        10 * time.Minute,
		"max-age=-5":                          10 * time.Minute,
		"no-store, max-age=1200":              time.Minute,
		"no-cache":                            time.Minute,
		"must-revalidate, s-maxage=5, max-ag": 10 * time.Minute,
	} {
		t.Run(header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				s.set(http.StatusOK, keySet(t, key.public()), http.Header{"Cache-Control": {header}})
				_, stop := start(t, s, zap.NewNop(), fromURL("https://issuer.example/keys"))
				defer stop()
				s.requests()
				after(want - 1)
				if got := s.requests(); got != 0 {
					t.Errorf("%d fetches before %v", got, want)
				}
				after(time.Nanosecond)
				if got := s.requests(); got != 1 {
					t.Errorf("%d fetches after %v, want 1", got, want)
				}
			})
		})
	}
}

func TestFetchesAreConditional(t *testing.T) {
	key := newKey(t, "1")
	keys := keySet(t, key.public())
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		s := &server{}
		var unchanged int
		s.answer = func(r *http.Request) (int, string, http.Header) {
			if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == "Tue, 01 Dec 2026 00:00:00 GMT" {
				unchanged++
				return http.StatusNotModified, "", nil
			}
			return http.StatusOK, keys, http.Header{"Etag": {`"v1"`}, "Last-Modified": {"Tue, 01 Dec 2026 00:00:00 GMT"}}
		}
		v, stop := start(t, s, zap.New(core), fromURL("https://issuer.example/keys"))
		defer stop()
		after(time.Hour)
		if got := v.Stats()[0]; unchanged != 6 || got.Failures != 0 || time.Since(got.Updated) > 10*time.Minute {
			t.Errorf("%d answers that nothing changed, %+v", unchanged, got)
		}
		if got := logs.Len(); got != 1 {
			t.Errorf("%d lines in the log, want 1 for the first keys", got)
		}
	})
}

func TestFileIsReadAgain(t *testing.T) {
	first, second := newKey(t, "1"), newKey(t, "2")
	opts := fromFile(t, keySet(t, first.public()))
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		v, stop := start(t, nil, zap.New(core), opts)
		defer stop()
		for name, text := range map[string]string{"broken": `{"keys"`, "empty": "", "other": `[]`} {
			write(t, opts.KeysFile, text)
			after(2 * time.Minute)
			if _, err := v.Verify(first.token(t, nil)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := os.Remove(opts.KeysFile); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if got := logs.FilterMessageSnippet("cannot be loaded").Len(); got != 1 {
			t.Errorf("the log tells it %d times, want once", got)
		}
		for _, line := range logs.All() {
			for _, field := range line.Context {
				if strings.Contains(field.String, opts.KeysFile) {
					t.Errorf("the log has the path: %v", line)
				}
			}
		}
		write(t, opts.KeysFile, keySet(t, second.public()))
		after(time.Minute)
		if _, err := v.Verify(second.token(t, nil)); err != nil {
			t.Error(err)
		}
		_, err := v.Verify(first.token(t, nil))
		wantRefused(t, err, "the token's key is not one of its issuer's")
	})
}

func TestReplaceKeepsKeysOfSameIssuers(t *testing.T) {
	key := newKey(t, "1")
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.set(http.StatusOK, keySet(t, key.public()), nil)
		same := fromURL("https://issuer.example/keys")
		gone := fromURL("https://gone.example/keys")
		gone.Name = "https://gone.example"
		v, stop := start(t, s, zap.NewNop(), same, gone)
		defer stop()
		s.hang()
		added := fromURL("https://added.example/keys")
		added.Name = "https://added.example"
		if err := v.Replace([]jwt.Issuer{added, same}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := v.Verify(key.token(t, nil)); err != nil {
			t.Error(err)
		}
		_, err := v.Verify(key.token(t, map[string]any{"iss": gone.Name}))
		wantRefused(t, err, "the issuer of the token")
		_, err = v.Verify(key.token(t, map[string]any{"iss": added.Name}))
		wantError(t, err, infer.Unavailable, "are not loaded yet")

		broken := same
		broken.KeysURL = "http://issuer.example/keys"
		wantError(t, v.Replace([]jwt.Issuer{broken}), infer.Invalid, "expected https://")
		if _, err := v.Verify(key.token(t, nil)); err != nil {
			t.Errorf("after a refused replacement: %v", err)
		}
		s.requests()
		s.set(http.StatusOK, keySet(t, key.public()), nil)
		after(time.Hour)
		if got := s.requests(); got < 12 || got > 15 {
			t.Errorf("%d fetches in an hour, want those of two issuers", got)
		}
	})
}

func TestNewRefusesWrongOptions(t *testing.T) {
	good := fromURL("https://issuer.example/keys")
	for message, change := range map[string]func(*jwt.Issuer){
		"the name, the audience":                                  func(i *jwt.Issuer) { i.Name = "" },
		"'https://issuer.example': the name, the audience":        func(i *jwt.Issuer) { i.Audience = "" },
		"and the claim with the subject must not be empty":        func(i *jwt.Issuer) { i.SubjectClaim = "" },
		"expected either a file or a URL":                         func(i *jwt.Issuer) { i.KeysURL = "" },
		"expected either a file or a URL of its keys":             func(i *jwt.Issuer) { i.KeysFile = "keys.json" },
		"the leeway is -1s, expected 0 to 10m0s":                  func(i *jwt.Issuer) { i.Leeway = -time.Second },
		"the leeway is 1h0m0s":                                    func(i *jwt.Issuer) { i.Leeway = time.Hour },
		"expected at least one algorithm":                         func(i *jwt.Issuer) { i.Algorithms = nil },
		"'HS256' is not an algorithm with a public key":           func(i *jwt.Issuer) { i.Algorithms = []string{"RS256", "HS256"} },
		"'none' is not an algorithm with a public key":            func(i *jwt.Issuer) { i.Algorithms = []string{"none"} },
		"expected https:// and a host":                            func(i *jwt.Issuer) { i.KeysURL = "http://issuer.example/keys" },
		"expected https:// and a host, or http://":                func(i *jwt.Issuer) { i.KeysURL = "/keys" },
		"without a user":                                          func(i *jwt.Issuer) { i.KeysURL = "https://user:word@issuer.example/keys" },
		"the file with its keys: no such file or directory":       func(i *jwt.Issuer) { i.KeysURL, i.KeysFile = "", "/does/not/exist" },
		"the file with its keys: not a regular file":              func(i *jwt.Issuer) { i.KeysURL, i.KeysFile = "", "/dev/null" },
		"the file with its keys: expected a JSON Web Key Set":     func(i *jwt.Issuer) { i.KeysURL, i.KeysFile = "", "/proc/self/comm" },
		"issuer 'https://issuer.example': expected either a file": func(i *jwt.Issuer) { i.KeysURL = "" },
	} {
		t.Run(message, func(t *testing.T) {
			opts := good
			change(&opts)
			_, err := jwt.New(jwt.Options{Issuers: []jwt.Issuer{opts}, Logger: zap.NewNop()})
			wantError(t, err, infer.Invalid, message)
			if strings.Contains(err.Error(), "word") || strings.Contains(err.Error(), "/does") {
				t.Errorf("the message has a secret or a path: %v", err)
			}
		})
	}
	_, err := jwt.New(jwt.Options{Issuers: []jwt.Issuer{good, good}, Logger: zap.NewNop()})
	wantError(t, err, infer.Invalid, "the issuer 'https://issuer.example' is given twice")
}
