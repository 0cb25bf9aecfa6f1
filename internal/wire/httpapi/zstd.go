package httpapi

import (
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"sluice.io/sluice/internal/infer"
)

const (
	// maxWindow is the largest window that a zstd stream may need (RFC 9659).
	maxWindow = 8 << 20
	// keptWindow is the largest window of a reader that is kept for reuse. Those of small requests fit.
	keptWindow = 256 << 10
	// writerWindow is the window of answers.
	writerWindow = 256 << 10
)

// The memory of the zstd codecs, in bytes.
const (
	zstdReaderBytes = 896 << 10 // of a reader, in addition to its window
	zstdWriterBytes = 1600 << 10
)

// readerBytes returns what a reader of body holds while it is in use. Errors are Invalid, and TooLarge
// for a window beyond the limit.
func (c coding) readerBytes(body []byte) (int, error) {
	if c != zstdCoding {
		return readerBytes, nil
	}
	window, err := zstdWindow(body)
	return zstdReaderBytes + max(window, keptWindow), err
}

// writerBytes returns what a writer holds while it is in use.
func (c coding) writerBytes() int {
	if c == zstdCoding {
		return zstdWriterBytes
	}
	return writerBytes
}

// zstdWindow returns the window that the first frame of a stream needs. Later frames must not need more
// than that and keptWindow, so that what a reader allocates is known before.
func zstdWindow(body []byte) (int, error) {
	var h zstd.Header
	for {
		switch err := h.Decode(body); {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return 0, infer.Errorf(infer.Invalid, "the body is an incomplete zstd stream")
		case err != nil:
			return 0, infer.Errorf(infer.Invalid, "the body is not a valid zstd stream")
		}
		if !h.Skippable {
			break
		}
		next := uint64(h.HeaderSize) + uint64(h.SkippableSize) //nolint:gosec // of a few bytes
		if next > uint64(len(body)) {
			return 0, infer.Errorf(infer.Invalid, "the body is an incomplete zstd stream")
		}
		body = body[next:]
	}
	window := h.WindowSize
	if h.SingleSegment { // the window is the content
		window = h.FrameContentSize
	}
	if window > maxWindow {
		return 0, infer.Errorf(infer.TooLarge, "the zstd stream needs a window of %d bytes, more than the limit of %d; compress it with a lower level", window, maxWindow)
	}
	return int(max(window, zstd.MinWindowSize)), nil
}

func openZstd(z *inflater, body []byte) error {
	window, err := zstdWindow(body)
	if err != nil {
		return err
	}
	if z.zstd == nil {
		// One goroutine: the caller's.
		if z.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
			return err
		}
		z.Reader = z.zstd
	}
	z.large = window > keptWindow
	return z.zstd.ResetWithOptions(&z.src, zstd.WithDecoderMaxWindow(uint64(max(window, keptWindow)))) //nolint:gosec // at most maxWindow
}

// closeZstd releases the body. A reader with a large window is not kept: the next request would not
// reserve that window.
func closeZstd(z *inflater) (keep bool) {
	large := z.large
	z.large = false
	return z.zstd.Reset(nil) == nil && !large
}

// newZstdWriter returns a writer that works in the caller's goroutine.
func newZstdWriter(w io.Writer) *zstd.Encoder {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(writerWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("BUG: options of zstd: " + err.Error())
	}
	return z
}
