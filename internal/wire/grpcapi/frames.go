package grpcapi

import (
	"encoding/binary"
	"time"
)

// frames follows the frames of HTTP/2 on a connection, as far as grpc-go does not tell of them: which
// call the bytes of a message belong to, whether the message is complete, and frames that cost
// work but bring nothing. It reads what grpc-go reads, and never more than that: when grpc-go
// begins a call, opened is its number.
type frames struct {
	preface int       // bytes of the client's preface that are still to come
	head    [9]byte   // of the present frame
	got     int       // bytes of head that have come
	left    int       // bytes of the payload that are still to come
	padding int       // bytes at the end of the payload that are padding; -1: the next byte has their number
	opened  uint32    // the call of the last HEADERS
	ends    bool      // with that, the caller has sent all of it
	tokens  int       // for frames
	renewed time.Time // when the tokens were given
}

// The types and flags of frames that matter here.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameWindowUpdate = 0x8

	flagEnd    = 0x1 // of DATA and HEADERS: the caller has sent all. Of SETTINGS and PING: acknowledged
	flagPadded = 0x8
)

const prefaceBytes = 24

// The tokens of a connection for a second. A call without a message that was cancelled, SETTINGS and frames that
// mean nothing cost many, so that a thousand of them a second end the connection; what a fast
// caller sends costs one. A whole message gives more than its frames cost: HEADERS, DATA, two WINDOW_UPDATEs and a PING. So a fast caller
// is never ended, whose messages other limits bound.
const (
	tokensPerSecond  = 100_000
	tokensForWaste   = 100
	tokensForMessage = 8
)

// follow reads the next bytes of the connection. It is false if the connection must end.
func (c *conn) follow(p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.frames
	for len(p) > 0 {
		switch {
		case f.preface > 0:
			n := min(f.preface, len(p))
			f.preface -= n
			p = p[n:]
		case f.left == 0:
			n := copy(f.head[f.got:], p)
			f.got += n
			p = p[n:]
			if f.got == len(f.head) {
				f.got = 0
				if !c.beginFrame() {
					return false
				}
			}
		default:
			n := min(f.left, len(p))
			if f.head[3] == frameData && !c.payload(p[:n]) {
				return false
			}
			f.left -= n
			p = p[n:]
		}
		if f.left == 0 && f.got == 0 && f.head[3] == frameData && f.head[4]&flagEnd != 0 {
			c.endOf(f.stream())
		}
	}
	return true
}

// stream returns the call of the present frame.
func (f *frames) stream() uint32 { return binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31) }

// beginFrame reads the head of a frame. It is false if the connection must end.
func (c *conn) beginFrame() bool {
	f := &c.frames
	f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
	kind, flags := f.head[3], f.head[4]
	cost := tokensForWaste
	switch kind {
	case frameData:
		f.padding = 0
		if flags&flagPadded != 0 {
			f.padding = -1
		}
		if f.left > 0 || flags&flagEnd != 0 {
			cost = 1
		}
	case frameHeaders:
		f.opened, f.ends = f.stream(), flags&flagEnd != 0
		cost = 1
	case framePing, frameWindowUpdate: // grpc-go bounds pings by itself
		cost = 1
	case frameSettings:
		if flags&flagEnd != 0 {
			cost = 1
		}
	case frameReset:
		k := c.calls[f.stream()]
		if k == nil || k.messages > 0 {
			cost = 1 // a caller that does not wait for its answer any more
		}
		if k != nil {
			k.leave()
		}
	}
	f.tokens -= cost
	return f.tokens >= 0 || c.renew(time.Now())
}

// payload reads bytes of DATA.
func (c *conn) payload(p []byte) bool {
	f := &c.frames
	if f.padding < 0 {
		f.padding = int(p[0])
		p = p[1:]
		f.left--
		defer func() { f.left++ }() // follow counts it
	}
	if body := max(0, f.left-f.padding); body < len(p) {
		p = p[:body]
	}
	if k := c.calls[f.stream()]; k != nil {
		return k.receive(p)
	}
	// The call has ended. grpc-go may hold the bytes until its answer has left.
	c.waste[0] += len(p) + frameBytes
	return c.reserve(len(p) + frameBytes)
}

// maxRatio is by how much deflate can shrink data at most.
const maxRatio = 1032

// holdUnpacked reserves what a compressed message can become: grpc-go unpacks it before the codec is asked.
func (k *call) holdUnpacked() bool {
	if k.prefix[0] == 0 {
		return true
	}
	n := min(k.left*maxRatio, k.conn.listener.limits.MaxMessageBytes)
	k.present += n
	return k.hold(n)
}

// endOf notes that the caller has sent all of a call.
func (c *conn) endOf(stream uint32) {
	if k := c.calls[stream]; k != nil {
		k.complete = true
	}
}

// receive reads bytes of a call's messages: five bytes with their length go before each.
func (k *call) receive(p []byte) bool {
	if !k.hold(len(p) + frameBytes) {
		return false
	}
	k.present += frameBytes
	for len(p) > 0 {
		if k.got == 0 {
			k.began = k.conn.listener.soon()
		}
		if k.got < len(k.prefix) {
			n := copy(k.prefix[k.got:], p)
			k.got += n
			k.present += n
			p = p[n:]
			if k.got < len(k.prefix) {
				return true
			}
			k.left = int(binary.BigEndian.Uint32(k.prefix[1:]))
			if !k.holdUnpacked() {
				return false
			}
		}
		n := min(k.left, len(p))
		k.left -= n
		k.present += n
		p = p[n:]
		if k.left == 0 {
			k.whole = append(k.whole, k.present)
			k.messages++
			k.got, k.present = 0, 0
			f := &k.conn.frames
			f.tokens = max(f.tokens, min(f.tokens+tokensForMessage, tokensPerSecond))
		}
	}
	return true
}
