package config_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice.io/sluice/internal/config"
)

func TestBodyMemoryFitsTheLargestRequest(t *testing.T) {
	f := func(body, inflated, response, least string) {
		t.Helper()
		parse := func(memory string) error {
			_, err := config.Parse("test.yaml", fmt.Appendf(nil, `
repository: {path: m}
server: {http: {max_body: %s, max_inflated: %s, max_body_memory: %s}, limits: {max_response: %s}}`, body, inflated, memory, response), noEnv)
			return err
		}
		if err := parse(least); err != nil {
			t.Errorf("%s is refused: %v", least, err)
		}
		err := parse("1MiB")
		if want := fmt.Sprintf("server.http.max_body_memory: 1MiB is too little for one request of max_body %s, max_inflated %s and server.limits.max_response %s; it takes at least %s",
			body, inflated, response, least); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f("64MiB", "64MiB", "256MiB", "892MiB")
	f("16MiB", "16MiB", "64MiB", "227MiB")
	f("1MiB", "16MiB", "64MiB", "227MiB") // the plain body counts
	f("16MiB", "1MiB", "64MiB", "227MiB")
	f("1MiB", "1MiB", "100MiB", "325MiB") // the answer takes more than the request
	f("2047MiB", "2047MiB", "2047MiB", "15289MiB")
}

// max_body_memory can be set alone: limits without a given value are lowered to fit.
func TestBodyMemoryAlone(t *testing.T) {
	f := func(memory, extra string, body, response config.Size) {
		t.Helper()
		cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "repository: {path: m}\nserver: {http: {max_body_memory: %s%s}}", memory, extra), noEnv)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Server.HTTP.MaxBody != body || cfg.Server.Limits.MaxResponse != response {
			t.Errorf("%s: max_body %v, max_response %v, want %v and %v", memory, cfg.Server.HTTP.MaxBody, cfg.Server.Limits.MaxResponse, body, response)
		}
	}
	const mib = 1 << 20
	f("64MiB", "", 4*mib, 16*mib)
	f("256MiB", "", 16*mib, 64*mib)
	f("256MiB", ", max_body: 1MiB", mib, 64*mib)
	f("1GiB", "", 64*mib, 256*mib)
	f("8GiB", "", 64*mib, 256*mib)
}
