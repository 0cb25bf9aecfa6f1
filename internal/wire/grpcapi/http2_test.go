package grpcapi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// peer is a client that writes what frames it likes.
type peer struct {
	t    *testing.T
	conn net.Conn
	out  bytes.Buffer // what flush writes
	*http2.Framer

	outcomes chan outcome
	seen     map[uint32]int // of outcomes
	ended    chan struct{}
}

// outcome is how a call ended.
type outcome struct {
	stream uint32
	code   int // -1: it was reset
}

// peer connects to a server, and tells it settings.
func (r *running) peer(t *testing.T, settings ...http2.Setting) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, conn: conn, outcomes: make(chan outcome, 100_000), seen: map[uint32]int{}, ended: make(chan struct{})}
	p.Framer = http2.NewFramer(&p.out, conn)
	p.AllowIllegalWrites = true
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.out.WriteString(http2.ClientPreface)
	p.do(p.WriteSettings(settings...))
	var reads sync.WaitGroup
	reads.Go(p.read)
	t.Cleanup(func() {
		_ = conn.Close()
		reads.Wait()
	})
	return p
}

// read reads until the connection ends.
func (p *peer) read() {
	defer close(p.ended)
	for {
		frame, err := p.ReadFrame()
		if se := (http2.StreamError{}); err != nil && !errors.As(err, &se) {
			return
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				if field.Name == "grpc-status" {
					code, _ := strconv.Atoi(field.Value)
					p.outcomes <- outcome{f.StreamID, code}
				}
			}
		case *http2.RSTStreamFrame:
			p.outcomes <- outcome{f.StreamID, -1}
		}
	}
}

func (p *peer) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// flush sends what was written. It is false once the connection has ended.
func (p *peer) flush() bool {
	_, err := p.out.WriteTo(p.conn)
	p.out.Reset()
	select {
	case <-p.ended:
		return false
	default:
		return err == nil
	}
}

// call writes the headers of a call.
func (p *peer) call(stream uint32, method string, more ...hpack.HeaderField) {
	p.t.Helper()
	p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headers(method, more...), EndHeaders: true}))
}

func headers(method string, more ...hpack.HeaderField) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "x"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}, more...) {
		_ = enc.WriteField(f) // into memory
	}
	return block.Bytes()
}

// message is a message as it is sent, with its length before it.
func message(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(data))), data...)
}

// want waits until a call ends with a code.
func (p *peer) want(stream uint32, code int) {
	p.t.Helper()
	for {
		if got, ok := p.seen[stream]; ok {
			if got != code {
				p.t.Errorf("call %d ended with %d, want %d", stream, got, code)
			}
			return
		}
		select {
		case o := <-p.outcomes:
			if _, ok := p.seen[o.stream]; !ok { // the first counts: a reset may follow a status
				p.seen[o.stream] = o.code
			}
		case <-p.ended:
			p.t.Fatalf("the connection ended, want the end of call %d with %d", stream, code)
		}
	}
}

const (
	inferCall  = pb.GRPCInferenceService_ModelInfer_FullMethodName
	streamCall = pb.GRPCInferenceService_ModelStreamInfer_FullMethodName
)

// Whoever does not send the rest of a message loses the call, and nothing else: the connection
// may be a proxy's.
func TestCallsThatStall(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.Limits.ReadTimeout = 200 * time.Millisecond })
	p := r.peer(t)
	whole := message(t, raw("", 1, 2, 3, 4))
	p.call(1, inferCall) // nothing
	p.call(3, inferCall) // half of a message
	p.do(p.WriteData(3, false, whole[:20]))
	p.call(5, inferCall) // all, but for the end of the call
	p.do(p.WriteData(5, false, whole))
	p.call(7, streamCall) // a message and a half
	p.do(p.WriteData(7, false, whole))
	p.do(p.WriteData(7, false, whole[:3]))                           // of its length
	p.call(11, pb.GRPCInferenceService_ModelMetadata_FullMethodName) // of a call whose message grpc-go reads
	p.do(p.WriteData(11, false, whole[:20]))
	p.flush()
	p.want(1, 4)
	p.want(11, 4)
	p.want(3, 4)
	p.want(5, 4)
	p.want(7, 4)
	p.call(13, inferCall)
	p.do(p.WriteData(13, true, whole))
	p.flush()
	p.want(13, 0)
}

// A stream may wait, but not for ever. A request in progress keeps it, and so does one that
// the server does not read yet.
func TestStreamsThatWait(t *testing.T) {
	s, open := gates(2)
	r := start(t, s, func(o *options) {
		o.Limits.ReadTimeout, o.Limits.IdleTimeout, o.Limits.MaxStreamed = 200*time.Millisecond, 300*time.Millisecond, 1
	})
	p := r.peer(t)
	busy := append(message(t, number(0)), message(t, number(1))...)
	p.call(1, streamCall)
	p.do(p.WriteData(1, false, append(busy, 0, 0))) // and the beginning of a third request
	p.flush()
	for r.front.InFlight() != 1 {
		time.Sleep(time.Millisecond)
	}
	for stream := uint32(3); stream < 9; stream += 2 { // each ends after the first could have
		p.call(stream, streamCall)
		p.flush()
		p.want(stream, 4)
	}
	p.call(9, streamCall)
	p.do(p.WriteData(9, true, nil))
	p.flush()
	p.want(9, 0)
	close(open[0])
	close(open[1])
	p.want(1, 4) // now it is waited for the third
}

// Answers that nobody reads end the connection, however small they are.
func TestSmallAnswersThatNobodyReads(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.Limits.WriteTimeout = 200 * time.Millisecond })
	for _, method := range []string{inferCall, streamCall, pb.GRPCInferenceService_ServerMetadata_FullMethodName} {
		p := r.peer(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		p.call(1, method)
		p.do(p.WriteData(1, true, message(t, raw("", 1, 2, 3, 4))))
		p.flush()
		<-p.ended
	}
}

// A flood of useless frames ends its connection, and does not disturb other connections.
func TestFloods(t *testing.T) {
	r := start(t, &stub{}, nil)
	polite := r.dial(t)
	f := func(name string, write func(p *peer, n uint32)) {
		t.Run(name, func(t *testing.T) {
			p := r.peer(t)
			for n := uint32(0); p.flush(); n += 1000 {
				for i := range uint32(1000) {
					write(p, n+i)
				}
				if _, err := polite.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil {
					t.Fatal(err)
				}
			}
			<-p.ended
		})
	}
	f("rapid reset", func(p *peer, n uint32) {
		p.call(2*n+1, inferCall)
		p.do(p.WriteRSTStream(2*n+1, http2.ErrCodeCancel))
	})
	f("settings", func(p *peer, _ uint32) { p.do(p.WriteSettings()) })
	f("pings", func(p *peer, _ uint32) { p.do(p.WritePing(false, [8]byte{})) })
	f("priorities", func(p *peer, n uint32) { p.do(p.WritePriority(2*n+1, http2.PriorityParam{StreamDep: 0, Weight: 1})) })
	f("unknown frames", func(p *peer, _ uint32) { p.do(p.WriteRawFrame(0xbe, 0, 0, nil)) })
	f("empty data", func(p *peer, n uint32) {
		if n == 0 {
			p.call(1, streamCall)
		}
		p.do(p.WriteData(1, false, nil))
	})
	f("continuations", func(p *peer, n uint32) {
		if n == 0 {
			p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(inferCall)}))
		}
		p.do(p.WriteContinuation(1, false, nil))
	})
	f("long headers", func(p *peer, n uint32) {
		if n == 0 {
			p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(inferCall)}))
		}
		p.do(p.WriteContinuation(1, false, headers(inferCall, hpack.HeaderField{Name: "x-long", Value: "0123456789"})))
	})
	f("cancelled in the middle of a message", func(p *peer, n uint32) {
		p.call(2*n+1, inferCall)
		p.do(p.WriteData(2*n+1, false, []byte{0, 0, 0, 1, 0, 9}))
		p.do(p.WriteRSTStream(2*n+1, http2.ErrCodeCancel))
	})
}

// Few bytes that unpack to large metadata are not taken.
func TestHeaderBomb(t *testing.T) {
	r := start(t, &stub{}, nil)
	p := r.peer(t)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	block.Write(headers(inferCall))
	for range 4000 { // all but the first take a byte
		_ = enc.WriteField(hpack.HeaderField{Name: "x-long", Value: string(make([]byte, 3000))})
	}
	p.do(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}))
	p.flush()
	p.want(1, -1)
	p.call(3, inferCall)
	p.do(p.WriteData(3, true, message(t, raw("", 1, 2, 3, 4))))
	p.flush()
	p.want(3, 0)
}

// A call of a method that does not exist says so, and is logged.
func TestUnknownMethods(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := start(t, &stub{}, func(o *options) {
		o.front.Log, o.front.AccessLog = zap.New(core), front.AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 100}
	})
	p := r.peer(t)
	for i, method := range []string{"/inference.GRPCInferenceService/Nope", "/nope.Nope/Nope"} {
		stream := uint32(2*i + 1)
		p.call(stream, method)
		p.flush()
		p.want(stream, 12)
		if n := logs.FilterField(zap.String("method", method)).FilterField(zap.String("error", "unknown method '"+method+"'")).Len(); n != 1 {
			t.Errorf("%s: %d lines in the log, want 1", method, n)
		}
	}
}
