package app

import (
	"context"
	"errors"
	"io"
	"time"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// InferVersion implements admin.InferControl. The request is decoded, limited and encoded as one
// of the data plane, and takes its memory from the same budget, unless that is scarce.
func (c control) InferVersion(ctx context.Context, in admin.Inference, answer func(admin.InferenceAnswer) error) error {
	a, arrived := c.app, time.Now()
	called, err := a.router.Called(in.Model, in.Version)
	if err != nil {
		return c.notLoaded(in, err)
	}
	if a.front.Scarce() {
		return infer.Errorf(infer.Overloaded, "requests use more than half of their memory, so that replays wait; try again later")
	}
	var memory front.Reservation
	a.front.Hold(&memory)
	defer memory.End()
	if err := a.front.Admit(in.Caller, in.Model, arrived, &memory); err != nil {
		return err
	}
	s := &a.opts.Config.Server
	body, err := readInference(in.Body, in.Size, int(s.HTTP.MaxBody), &memory)
	if err != nil {
		return err
	}
	call := oip.NewCall()
	defer call.Reset()
	if err := decodeInference(call, body, &in, called, s, &memory); err != nil {
		return err
	}
	req := &call.Request
	req.Handle, req.RequestID, req.Arrived = called.Handle, in.RequestID, arrived
	if err := memory.AdmitRows(req); err != nil {
		return err
	}
	resp, err := a.router.Replay(ctx, req)
	if err != nil {
		return c.notLoaded(in, err)
	}
	took := time.Since(arrived)
	defer resp.Release()
	out, jsonLength, err := encodeInference(call, in.Model, in.Version, resp, s)
	if err != nil {
		return err
	}
	return answer(admin.InferenceAnswer{Body: out, JSONLength: jsonLength, Took: took, Served: req.Served, RequestID: in.RequestID})
}

// notLoaded explains the error of a version that exists and is not loaded.
func (c control) notLoaded(in admin.Inference, err error) error {
	if infer.CodeOf(err) != infer.NotFound {
		return err
	}
	if _, unknown := c.VersionInfo(in.Model, in.Version); unknown != nil {
		return err
	}
	return infer.Errorf(infer.Conflict, "version %d of model '%s' is not loaded, or only as a shadow; give it the weight 0 in a route, or name it in versions of the model in the configuration, and try again", in.Version, in.Model)
}

// decodeInference decodes the body of a request. called is what it calls.
func decodeInference(call *oip.Call, body []byte, in *admin.Inference, called infer.Called, s *config.Server, memory *front.Reservation) error {
	limits := tensorLimits(&s.Limits)
	call.Memory, call.Model, call.Version = memory, in.Model, in.Version
	call.StickyParameter, call.SegmentParameter, call.KeepParameters = called.StickyParameter, called.SegmentParameter, called.KeepParameters
	call.DriftParameter = called.DriftParameter
	call.Grow = growing(memory, int(s.Limits.MaxResponse))
	if in.JSONLength == 0 {
		return call.DecodeRaw(body, called.Model, &limits)
	}
	return call.Decode(body, in.JSONLength, &limits)
}

// encodeInference encodes an answer, with the classes that the request asks for.
func encodeInference(call *oip.Call, model string, version int64, resp *infer.Response, s *config.Server) (out []byte, jsonLength int, err error) {
	size := resp.ByteSize()
	if call.Classifies() {
		if size, err = call.Classify(resp); err != nil {
			return nil, 0, err
		}
	}
	if err := front.CheckAnswer(size, int(s.Limits.MaxResponse)); err != nil {
		return nil, 0, err
	}
	return oip.AppendResponse(nil, call, model, version, resp, oip.EncodeOptions{NonFinite: nonFinite(s.JSON.NonFinite)})
}

// readInference reads a body of at most limit bytes, whose memory it reserves as it arrives.
func readInference(body io.Reader, size int64, limit int, memory infer.Memory) ([]byte, error) {
	const first = 64 << 10
	tooLarge := infer.Errorf(infer.TooLarge, "the body has more than the limit of %d bytes", limit)
	if size > int64(limit) {
		return nil, tooLarge
	}
	var buf []byte
	for {
		if len(buf) == cap(buf) {
			room := min(max(2*cap(buf), first), limit+1)
			if size >= 0 {
				room = min(room, max(int(size), len(buf))+1) // the end is read too
			}
			if err := memory.Reserve(room); err != nil {
				return nil, err
			}
			larger := append(make([]byte, 0, room), buf...)
			memory.Release(cap(buf))
			buf = larger
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, tooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, infer.Errorf(infer.Invalid, "the request's body cannot be read, or did not arrive in time")
		}
	}
}

// growing returns what gives an answer of about limit bytes its room.
func growing(memory infer.Memory, limit int) func([]byte, int) ([]byte, error) {
	const frame = 64 << 10 // the names and shapes of the outputs
	return func(answer []byte, n int) ([]byte, error) {
		need := len(answer) + n
		if err := front.CheckAnswer(need, limit+frame); err != nil {
			return answer, err
		}
		room := max(need, 2*cap(answer))
		if err := memory.Reserve(room); err != nil {
			return answer, err
		}
		larger := append(make([]byte, 0, room), answer...)
		memory.Release(cap(answer))
		return larger, nil
	}
}
