//go:build cgo

package archive

import (
	"fmt"
	"io"

	native "github.com/DataDog/zstd"
)

// nativeZstd encodes with libzstd, whose source the package holds: in two thirds of the time of the
// encoder in Go, and slightly smaller. The frames are the same format.
type nativeZstd struct {
	encoder native.Ctx
	level   int
	frame   []byte
}

// newNativeZstd returns nil for what is left to the encoder in Go: chunks whose frame is too large to
// be made in memory, and levels that would use a window of more than maxWindow for such a chunk.
func newNativeZstd(level, longest int) compressor {
	const smallWindow = 3 // up to this level libzstd's window is at most 2 MiB
	if longest > wholeChunk || level > smallWindow && longest > maxWindow {
		return nil
	}
	return &nativeZstd{
		encoder: native.NewCtx(), level: max(level, native.BestSpeed),
		frame: make([]byte, native.CompressBound(longest)),
	}
}

func (c *nativeZstd) compress(w io.Writer, plaintext []byte) error {
	frame, err := c.encoder.CompressLevel(c.frame, plaintext, c.level)
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	_, err = w.Write(frame)
	return err
}

// nativeUnzstd decodes with libzstd, in 0.7 of the time of the decoder in Go. It writes to memory of the
// caller's and nowhere else, so a frame that lies about its length takes nothing.
type nativeUnzstd struct{ decoder native.Ctx }

func newUnzstd() (zstdDecoder, error) { return nativeUnzstd{native.NewCtx()}, nil }

func (d nativeUnzstd) decode(frame, out []byte) error {
	if len(frame) == 0 {
		return io.ErrUnexpectedEOF
	}
	room := out
	if len(out) == 0 { // the binding takes the address of the first byte
		room = make([]byte, 1)
	}
	n, err := d.decoder.DecompressInto(room, frame)
	if native.IsDstSizeTooSmallError(err) {
		return checkPlain(len(out)+1, len(out))
	}
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	return checkPlain(n, len(out))
}

func (nativeUnzstd) close() {} // its memory goes with the last reference
