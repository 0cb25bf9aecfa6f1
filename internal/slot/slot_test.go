package slot_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zeebo/xxh3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/slot"
)

var update = flag.Bool("update", false, "rewrite testdata/slots.json")

// The published values. They were compared with another implementation, the package xxhash
// 4.1.0 for Python:
//
//	import base64, json, xxhash
//	for v in json.load(open("testdata/slots.json")):
//	    key = base64.b64decode(v["key_base64"]) if "key_base64" in v else v["key"].encode()
//	    h = xxhash.xxh3_64_intdigest(v["seed"].encode() + b"\x1f" + key)
//	    assert ((h >> 32) * 10000) >> 32 == v["slot"], v
const vectorsFile = "../../testdata/slots.json"

// vector is one published value. A key that is not UTF-8 is in base64.
type vector struct {
	Seed      string `json:"seed"`
	Key       string `json:"key,omitempty"`
	KeyBase64 string `json:"key_base64,omitempty"`
	Slot      int    `json:"slot"`
}

func text(seed, key string) vector {
	return vector{Seed: seed, Key: key, Slot: slot.Slot(seed, key)}
}

func binary(seed string, key []byte) vector {
	return vector{Seed: seed, KeyBase64: base64.StdEncoding.EncodeToString(key), Slot: slot.Slot(seed, string(key))}
}

// vectors makes the values of the file: keys as they look in practice, keys that could be
// confused with each other, and every length at which the hash changes its code path.
func vectors() []vector {
	var all []vector
	for _, key := range []string{
		"user-1", "user-2", "user-3", "user-4", "user-5", "alice", "Alice", "ALICE", "alice ", " alice", "bob@example.com",
		"0", "1", "10000", " ", "\t", "\n", "\x00", "\x1f", "\x7f", "null", "{}", `"quoted"`, `back\slash`, "<&>",
		"123e4567-e89b-12d3-a456-426614174000", "session=abc; path=/", "2001:db8::1",
		"é", "e\u0301", "日本語", "Ελλάδα", "пользователь", "مستخدم", "👩‍🔬", "\ufeffmarked", "\u2028",
	} {
		all = append(all, text("iris", key))
	}
	for _, seed := range []string{"", "iris-2", "diabetes", "日本", strings.Repeat("s", api.MaxSeedBytes)} {
		all = append(all, text(seed, "user-1"))
	}
	all = append(all, text("ab", "c"), text("a", "bc"), text("a\x1f", "b"), text("a", "\x1fb"))
	for _, key := range [][]byte{{0xff}, {0xfe, 0xff}, {0xc3, 0x28}, {0xed, 0xa0, 0x80}, bytes.Repeat([]byte{0x80}, 300)} {
		all = append(all, binary("iris", key))
	}
	letters := strings.Repeat("abcdefghijklmnopqrstuvwxyz0123456789", 500)
	for _, whole := range []int{16, 17, 128, 129, 240, 241, 256, 257, 1024, 1025, 1088, 1089, 4096, 16384} {
		all = append(all, text("iris", letters[:whole-len("iris")-1]))
	}
	return all
}

func TestVectors(t *testing.T) {
	if *update {
		var file bytes.Buffer
		for i, v := range vectors() {
			line, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			file.WriteString([]string{"[\n  ", ",\n  "}[min(i, 1)])
			file.Write(line)
		}
		file.WriteString("\n]\n")
		if err := os.WriteFile(vectorsFile, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var published []vector
	if err = json.Unmarshal(file, &published); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(vectors(), published); diff != "" {
		t.Errorf("the published values differ; a changed rule moves the keys of all callers (+ is the file):\n%s", diff)
	}
}

// TestSlotIsTheRule compares with the rule in one line, at every length around those at which
// the hash changes its code path.
func TestSlotIsTheRule(t *testing.T) {
	f := func(seed, key string) {
		t.Helper()
		want := int((xxh3.Hash([]byte(seed+"\x1f"+key)) >> 32) * 10_000 >> 32)
		if got := slot.Slot(seed, key); got != want || got < 0 || got >= api.TotalWeight {
			t.Fatalf("seed of %d bytes, key of %d: got slot %d, want %d", len(seed), len(key), got, want)
		}
	}
	random := rand.NewChaCha8([32]byte{1})
	bytes := make([]byte, 1<<20)
	_, _ = random.Read(bytes)
	seed, key := string(bytes[:api.MaxSeedBytes]), string(bytes)
	for n := range 2_300 {
		f("", key[:n])
		f("iris", key[:n])
		f(seed, key[:n])
	}
	for n := range api.MaxSeedBytes {
		f(seed[:n], "user-1")
		f(seed[:n], key[:2000])
	}
	for _, n := range []int{16 << 10, 16<<10 + 1, 1 << 20} {
		f(seed, key[:n])
	}
}

func BenchmarkSlot(b *testing.B) {
	for _, n := range []int{8, 36, 200, 1024, 16 << 10} {
		key := strings.Repeat("k", n)
		b.Run("bytes="+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			sum := 0
			for b.Loop() {
				sum += slot.Slot("iris", key)
			}
			if sum < 0 {
				b.Fatal(sum)
			}
		})
	}
}
