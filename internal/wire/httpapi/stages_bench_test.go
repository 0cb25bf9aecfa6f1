//go:build !race

package httpapi

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// stage is a part of the cost of a request without its body.
type stage struct {
	part, name string
	run        func() bool // false if it failed
}

// stages are the stages of every request, with a header block like that of curl and most clients.
func stages(tb testing.TB) []stage {
	tb.Helper()
	shared := benchServer(tb).front
	_, rest, _ := strings.Cut(jsonRequest(), "\r\n")
	head, _, _ := strings.Cut(rest, "\r\n\r\n")
	block := []byte(head + "\r\n\r\n")
	path, escaped := []byte("/v2/models/fraud-score/infer"), []byte("/v2/models/fraud%2Dscore/versions/12/infer")
	given := []byte("6f1c5e0e-3b2a-4c57-9d8a-0123456789ab")
	arrived := time.Now()
	var segments, id [front.MaxRequestID]byte
	parse := func(path []byte, version int64) bool {
		t, err := parsePath(path, segments[:0])
		return err == nil && t.endpoint == endpointInfer && t.model == "fraud-score" && t.version == version
	}
	return []stage{
		{"header", "fields=6", func() bool {
			var h header
			return h.scan(block) == nil && h.requestID != nil
		}},
		{"path", "form=plain", func() bool { return parse(path, 0) }},
		{"path", "form=escaped", func() bool { return parse(escaped, 12) }},
		{"request id", "from=caller", func() bool { return len(shared.AppendRequestID(id[:0], given)) == len(given) }},
		{"request id", "from=gateway", func() bool { return len(shared.AppendRequestID(id[:0], nil)) > 0 }},
		{"access log", "sampled=no", func() bool { return !shared.Logs(infer.OK, arrived) }},
	}
}

func BenchmarkHeader(b *testing.B)    { benchmarkStage(b, "header") }
func BenchmarkPath(b *testing.B)      { benchmarkStage(b, "path") }
func BenchmarkRequestID(b *testing.B) { benchmarkStage(b, "request id") }

// benchmarkStage runs the stages of a part.
func benchmarkStage(b *testing.B, part string) {
	b.Helper()
	for _, s := range stages(b) {
		if s.part != part {
			continue
		}
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !s.run() {
					b.Fatal("not as it should be")
				}
			}
		})
	}
}

// BenchmarkAccessLog measures a request that is not sampled, and a whole request that is.
func BenchmarkAccessLog(b *testing.B) {
	benchmarkStage(b, "access log")
	b.Run("sampled=yes", func(b *testing.B) {
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), nowhere{}, zap.InfoLevel)
		s := benchServer(b)
		s.front = newFront(b, s.front.Catalog.(*fixed), 1<<30, zap.New(core))
		b.ReportAllocs()
		c := &replay{request: binaryRequest(), left: b.N}
		_ = s.http.ServeConn(newConn(c, s.timeouts))
		if c.served != b.N {
			b.Fatalf("%d of %d answered 200", c.served, b.N)
		}
	})
}

// nowhere drops a log.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Sync() error                 { return nil }
