package main

import (
	"regexp"
	"strings"
	"testing"

	"sluice.io/sluice/internal/config"
)

// The key that a person gets is the one whose hash is in the entry, and the entry is valid.
func TestCallersNew(t *testing.T) {
	first, second := command(t, "", []string{"callers", "new", "billing"}), command(t, "", []string{"callers", "new", "billing"})
	key := regexp.MustCompile(`sluice_[\w-]{43}`).FindString(first.errOut)
	if first.code != 0 || key == "" || strings.Contains(first.out, key) || first.out == second.out {
		t.Fatalf("%+v", first)
	}
	cfg, err := config.Parse("entry", []byte("repository: {path: m}\n"+first.out), nil)
	if err != nil {
		t.Fatal(err)
	}
	if hash := config.HashKey(key); !strings.Contains(first.out, hash) || len(cfg.Callers["billing"].Keys) != 1 {
		t.Errorf("%s is not in %s", hash, first.out)
	}
	if bad := command(t, "", []string{"callers", "new", "a b"}); bad.code != 2 || strings.Contains(bad.errOut, "sluice_") {
		t.Errorf("%+v", bad)
	}
	if bad := command(t, "", []string{"callers", "new"}); bad.code != 2 {
		t.Errorf("%+v", bad)
	}
}

func TestCallersHash(t *testing.T) {
	for _, in := range []string{"a-key-of-16-bytes", "a-key-of-16-bytes\n", "a-key-of-16-bytes\r\nmore"} {
		if got := command(t, in, []string{"callers", "hash"}); got.code != 0 || got.out != config.HashKey("a-key-of-16-bytes")+"\n" {
			t.Errorf("%q: %+v", in, got)
		}
	}
	if got := command(t, "hunter2", []string{"callers", "hash"}); got.code != 1 || strings.Contains(got.errOut, "hunter2") {
		t.Errorf("%+v", got)
	}
}

func TestCallersList(t *testing.T) {
	at := sideOf(t, &fold{})
	list := command(t, "", []string{"callers", "--admin", at})
	if list.code != 0 || !strings.Contains(list.out, "anonymous  -            -       infer, metadata, statistics, load, register, route, rollout, approve, label, signal, capture, admin on *") {
		t.Errorf("%+v", list)
	}
	if names := command(t, "", []string{"callers", "list", "-o", "name", "--admin", at}); names.out != "anonymous\n" {
		t.Errorf("%+v", names)
	}
	if one := command(t, "", []string{"callers", "describe", "anonymous", "--admin", at}); one.code != 0 || !strings.Contains(one.out, "infer, metadata") {
		t.Errorf("%+v", one)
	}
	if none := command(t, "", []string{"callers", "describe", "nobody", "--admin", at}); none.code != 1 || !strings.Contains(none.errOut, "there is no caller 'nobody'") {
		t.Errorf("%+v", none)
	}
}
