package grpcapi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"

	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi"
)

// bareFront is a front without a server.
func bareFront(t testing.TB) *front.Front {
	t.Helper()
	s := &stub{}
	f, err := front.New(front.Options{Predictor: s, Catalog: s, Settings: &s.settings, Log: zap.NewNop(), Callers: access.Open(), Bounds: front.Limits{MaxInFlight: 1, MaxControlInFlight: 1, MaxMemory: 1 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A connection may send 100,000 frames in each second, even if no sweep comes and while an answer is being written. It
// gets no more than that, and none while it does not read.
func TestTokensOfFrames(t *testing.T) {
	ping := make([]byte, 17)
	ping[2], ping[3] = 8, byte(http2.FramePing)
	second := bytes.Repeat(ping, 100_000)
	fr := bareFront(t)
	synctest.Test(t, func(t *testing.T) {
		book := grpcapi.NewBook(fr)
		if !book.Follow(second) || book.Follow(ping) {
			t.Error("a connection must end after 100,000 frames in a second, and not before")
		}
		book = grpcapi.NewBook(fr)
		for i := range 10 {
			if i == 7 {
				go book.Write(ping)
				synctest.Wait()
			}
			if !book.Follow(second) {
				t.Errorf("ended in second %d", i)
			}
			time.Sleep(time.Second)
		}
		book.Follow(second)
		time.Sleep(5 * time.Second)
		if book.Follow(ping) {
			t.Error("a caller that does not read gets new tokens")
		}
		book.Close()
	})
}

// A caller that sends messages as fast as it can is not ended, whatever the number of its frames: each message has a few others beside it.
func TestMessagesGiveTokens(t *testing.T) {
	var out bytes.Buffer
	fr := http2.NewFramer(&out, nil)
	written := []error{fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(streamCall), EndHeaders: true})}
	begun := out.Len()
	written = append(written, fr.WriteData(1, false, []byte{0, 0, 0, 0, 1, 'a'}), fr.WriteWindowUpdate(0, 6), fr.WriteWindowUpdate(1, 6), fr.WritePing(false, [8]byte{}))
	if err := errors.Join(written...); err != nil {
		t.Fatal(err)
	}
	all := out.Bytes()
	synctest.Test(t, func(t *testing.T) { // no time passes, so that there are no new tokens
		book := grpcapi.NewBook(bareFront(t))
		if !book.Follow(all[:begun]) {
			t.Fatal("ended at the call")
		}
		for i := range 100_000 {
			if !book.Follow(all[begun:]) {
				t.Fatalf("ended after %d messages", i)
			}
		}
		waste := bytes.Repeat([]byte{0, 0, 0, byte(http2.FrameSettings), 0, 0, 0, 0, 0}, 1001)
		if book.Follow(waste) {
			t.Error("messages allow more than 1,000 SETTINGS at once")
		}
		book.End()
	})
}

// Whatever the bytes are and however they come, the book of a connection finds the messages that
// http2's reader finds, and holds nothing once the calls have ended.
func FuzzFrames(f *testing.F) {
	frames := func(write func(*http2.Framer)) []byte {
		var out bytes.Buffer
		fr := http2.NewFramer(&out, nil)
		fr.AllowIllegalWrites = true
		write(fr)
		return out.Bytes()
	}
	one := []byte{0, 0, 0, 0, 2, 'a', 'b'}
	f.Add(frames(func(fr *http2.Framer) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(streamCall), EndHeaders: true})
		_ = fr.WriteData(1, false, append(slices.Clip(one), 0, 0, 0))
		_ = fr.WriteDataPadded(1, false, []byte{0, 1, 'c'}, make([]byte, 9))
		_ = fr.WriteData(1, true, one)
		_ = fr.WriteData(3, true, one)
		_ = fr.WriteRSTStream(1, http2.ErrCodeCancel)
		_ = fr.WriteSettings()
	}), byte(3))
	f.Add(frames(func(fr *http2.Framer) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, BlockFragment: headers(inferCall), EndHeaders: true, EndStream: true})
		_ = fr.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 5, []byte{200, 1, 2})
	}), byte(1))
	fr := bareFront(f)
	f.Fuzz(func(t *testing.T, data []byte, step byte) {
		book := grpcapi.NewBook(fr)
		ok := true
		for rest := data; ok && len(rest) > 0; {
			n := min(frameEnd(data, len(data)-len(rest)), 1+int(step), len(rest)) // never beyond a frame, as grpc-go reads
			ok = book.Follow(rest[:n])
			rest = rest[n:]
		}
		if want, valid := messages(data); ok && valid && book.Messages() != want {
			t.Errorf("%d messages, want %d", book.Messages(), want)
		}
		if held := book.End(); held != 0 {
			t.Errorf("%d bytes are held at the end", held)
		}
	})
}

// frameEnd returns how many bytes after at belong to the same frame.
func frameEnd(data []byte, at int) int {
	for begin := 0; ; {
		if len(data) < begin+9 {
			return len(data) - at
		}
		begin += 9 + int(data[begin])<<16 + int(data[begin+1])<<8 + int(data[begin+2])
		if at < begin {
			return begin - at
		}
	}
}

// messages returns how many messages are complete in the frames of calls that have begun, unless a
// frame is not valid or not complete.
func messages(data []byte) (n int, valid bool) {
	sent := map[uint32]*bytes.Buffer{}
	fr := http2.NewFramer(nil, bytes.NewReader(data))
	for {
		frame, err := fr.ReadFrame()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return 0, false
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			if sent[frame.StreamID] == nil {
				sent[frame.StreamID] = &bytes.Buffer{}
			}
		case *http2.DataFrame:
			if b := sent[frame.StreamID]; b != nil {
				b.Write(frame.Data())
			}
		case *http2.SettingsFrame, *http2.RSTStreamFrame, *http2.WindowUpdateFrame:
		default:
			return 0, false
		}
	}
	for _, b := range sent {
		for b.Len() >= 5 {
			size := int(binary.BigEndian.Uint32(b.Next(5)[1:]))
			if size > b.Len() {
				break
			}
			b.Next(size)
			n++
		}
	}
	return n, true
}
