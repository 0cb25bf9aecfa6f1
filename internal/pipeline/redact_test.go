package pipeline

import (
	"bytes"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

// Output has no token, however it arrives.
func TestRedactor(t *testing.T) {
	token := api.TrainerTokenPrefix + strings.Repeat("aZ9-_", 9)[:43]
	text := "s begin\n" + token + " sluice_retrain_short sluice " + token + token[:50] + "\n" + token
	want := "s begin\nsluice_retrain_… sluice_retrain_short sluice sluice_retrain_…" + token[:50] + "\nsluice_retrain_…"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		r := newRedactor(&out)
		for at := 0; at < len(text); at += size {
			if _, err := r.Write([]byte(text[at:min(len(text), at+size)])); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), token) {
				t.Fatalf("in pieces of %d bytes: %s", size, out.String())
			}
		}
		if err := r.flush(); err != nil || out.String() != want {
			t.Fatalf("in pieces of %d bytes: %v\n%s\nwant\n%s", size, err, out.String(), want)
		}
	}
	if got := withoutTokens(text); got != want {
		t.Errorf("got %s", got)
	}
}
