package promquery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/promquery"
)

func client(t *testing.T, url string) *promquery.Client {
	t.Helper()
	c, err := promquery.New(promquery.Options{URL: url, Token: "a-secret-token", Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever a server answers, there is a number or a cause.
func TestValue(t *testing.T) {
	answer := ""
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a-secret-token" {
			t.Error("the token was not sent")
		}
		switch answer {
		case "hang":
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		case "huge":
			_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"%s1"]}}`, strings.Repeat("0", 2<<20))
		case "redirect":
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusFound)
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	defer server.Close()
	defer close(stop)
	c := client(t, server.URL)
	f := func(text string, want float64, wrong string) {
		t.Helper()
		answer = text
		got, err := c.Value(t.Context(), "up")
		if wrong == "" && (err != nil || got != want) || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%.80s: %v, %v; want %v, %q", text, got, err, want, wrong)
		}
		if err != nil && strings.Contains(err.Error(), "a-secret-token") {
			t.Error("the token is in the error")
		}
	}
	result := func(kind, result string) string {
		return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, result)
	}
	f(result("scalar", `[1,"0.25"]`), 0.25, "")
	f(result("vector", `[{"metric":{},"value":[1,"3"]}]`), 3, "")
	f(result("vector", `[]`), 0, "no data")
	f(result("vector", `[{"metric":{"a":"1"},"value":[1,"3"]},{"metric":{"a":"2"},"value":[1,"3"]}]`), 0, "2 series, expected one")
	f(result("vector", `[{"metric":{},"value":[1,"NaN"]}]`), 0, "the value is NaN")
	f(result("scalar", `[1,"+Inf"]`), 0, "the value is +Inf")
	f(result("matrix", `[]`), 0, "has a matrix")
	f(`{"status":"error","errorType":"bad_data","error":"parse error"}`, 0, "prometheus: ")
	f(`not JSON`, 0, "prometheus: ")
	f("huge", 0, "prometheus: ")
	f("redirect", 0, "prometheus: ")
	f("hang", 0, "did not answer within 2s")
	server.CloseClientConnections()
	gone := client(t, "http://127.0.0.1:1")
	if _, err := gone.Value(t.Context(), "up"); err == nil {
		t.Error("a server that is not there has answered")
	}
	if _, err := promquery.New(promquery.Options{URL: "://"}); err == nil {
		t.Error("a URL that is not valid was accepted")
	}
}

// A real Prometheus scrapes itself.
func TestRealPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	const address = "127.0.0.1:19417"
	if err := os.WriteFile(config, []byte("scrape_configs: [{job_name: self, scrape_interval: 1s, static_configs: [{targets: ['"+address+"']}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), program, "--config.file="+config, "--storage.tsdb.path="+dir, "--web.listen-address="+address)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	c := client(t, "http://"+address)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		got, err := c.Value(t.Context(), `sum(up{job="self"})`)
		if err == nil && got == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if _, err := c.Value(t.Context(), `up{job="nothing"}`); err == nil || err.Error() != "no data" {
		t.Error(err)
	}
	if _, err := c.Value(t.Context(), `sum(`); err == nil || !strings.Contains(err.Error(), "parse error") {
		t.Error(err)
	}
}
