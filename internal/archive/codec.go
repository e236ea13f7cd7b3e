package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// The history of zstd. An encoder holds two windows, a decoder one. The fastest level finds next to
// nothing further back than fastWindow, which stays in the processor's cache.
const (
	maxWindow  = 4 * mib
	fastWindow = 512 * kib
)

// compressor is a reusable encoder.
type compressor interface {
	// compress writes plaintext to w as one frame.
	compress(w io.Writer, plaintext []byte) error
}

// uncompressed is the compressor that does not compress.
type uncompressed struct{}

func (uncompressed) compress(w io.Writer, plaintext []byte) error {
	_, err := w.Write(plaintext)
	return err
}

// framed is a compressor over a streaming encoder.
type framed struct {
	encoder interface {
		io.WriteCloser
		Reset(w io.Writer)
	}
}

func (f framed) compress(w io.Writer, plaintext []byte) error {
	f.encoder.Reset(w)
	_, err := f.encoder.Write(plaintext)
	return errors.Join(err, f.encoder.Close())
}

// whole is zstd over chunks that are in memory as a whole, which saves copying them.
type whole struct {
	encoder *zstd.Encoder
	frame   []byte
}

func (c *whole) compress(w io.Writer, plaintext []byte) error {
	c.frame = c.encoder.EncodeAll(plaintext, c.frame[:0])
	_, err := w.Write(c.frame)
	return err
}

// wholeChunk is the longest chunk whose frame is made in memory, on the Go heap.
const wholeChunk = 8 * mib

// newCompressor returns an encoder for chunks of at most longest bytes. Level 0 is the fastest;
// above it levels are those of the command-line tool of the algorithm. All work in the calling
// goroutine: chunks are what runs in parallel.
func newCompressor(algorithm domain.Compression, level, longest int) (compressor, error) {
	switch algorithm {
	case domain.CompressionNone:
		return uncompressed{}, nil
	case domain.CompressionZstd:
		return newZstd(level, longest)
	case domain.CompressionGzip:
		if level == 0 {
			level = gzip.BestSpeed
		}
		w, err := gzip.NewWriterLevel(nil, level)
		return framed{w}, err
	case domain.CompressionLZ4:
		w := lz4.NewWriter(nil)
		options := []lz4.Option{lz4.BlockSizeOption(lz4.Block256Kb), lz4.ConcurrencyOption(1)}
		if level > 0 {
			options = append(options, lz4.CompressionLevelOption(lz4.CompressionLevel(1<<(8+level))))
		}
		return framed{w}, w.Apply(options...)
	default:
		return nil, fmt.Errorf("compression %q is not zstd, gzip, lz4 or none", algorithm)
	}
}

func newZstd(level, longest int) (compressor, error) {
	if c := newNativeZstd(level, longest); c != nil {
		return c, nil
	}
	speed, window := zstd.SpeedFastest, fastWindow
	if level > 0 {
		speed, window = zstd.EncoderLevelFromZstd(level), maxWindow
	}
	window = max(zstd.MinWindowSize, min(window, 1<<bits.Len(uint(longest-1))))
	// No checksum in the frame: the manifest has one of the object, and age authenticates it.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	if longest > wholeChunk {
		return framed{w}, nil
	}
	return &whole{encoder: w}, nil
}

// decompressors keeps the decoders of one goroutine for the next chunk.
type decompressors struct {
	zstd zstdDecoder
	gzip *gzip.Reader
	lz4  *lz4.Reader
}

// decode fills out with the plaintext of frame, which must have exactly that length.
func (d *decompressors) decode(algorithm domain.Compression, frame, out []byte) error {
	switch algorithm {
	case domain.CompressionZstd:
		return d.decodeZstd(frame, out)
	case domain.CompressionGzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		if err := d.gzip.Reset(bytes.NewReader(frame)); err != nil {
			return err
		}
		return fill(d.gzip, out)
	case domain.CompressionLZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(nil)
		}
		d.lz4.Reset(bytes.NewReader(frame))
		return fill(d.lz4, out)
	default:
		return fill(bytes.NewReader(frame), out)
	}
}

// zstdDecoder is a reusable decoder: it fills out with the plaintext of frame, which must have exactly that
// length.
type zstdDecoder interface {
	decode(frame, out []byte) error
	close()
}

func (d *decompressors) decodeZstd(frame, out []byte) (err error) {
	if d.zstd == nil {
		if d.zstd, err = newUnzstd(); err != nil {
			return err
		}
	}
	return d.zstd.decode(frame, out)
}

// goUnzstd is the decoder in Go, for builds without cgo.
type goUnzstd struct{ decoder *zstd.Decoder }

func newGoUnzstd() (zstdDecoder, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxChunk))
	return goUnzstd{decoder}, err
}

func (d goUnzstd) decode(frame, out []byte) error {
	plaintext, err := d.decoder.DecodeAll(frame, out[:0])
	if err != nil {
		return err
	}
	if len(plaintext) == len(out) && len(out) > 0 && &plaintext[0] != &out[0] {
		copy(out, plaintext) // the decoder wanted more room than there is
	}
	return checkPlain(len(plaintext), len(out))
}

func (d goUnzstd) close() { d.decoder.Close() }

// fill reads exactly the whole of r into out.
func fill(r io.Reader, out []byte) error {
	n, err := io.ReadFull(r, out)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n == len(out) {
		var more [1]byte
		for err == nil && n == len(out) {
			var extra int
			extra, err = r.Read(more[:])
			n += extra
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return checkPlain(n, len(out))
}

// checkPlain compares the length of a plaintext with the recorded one.
func checkPlain(got, want int) error {
	switch {
	case got > want:
		return fmt.Errorf("it holds more than the %d bytes that the manifest says", want)
	case got < want:
		return fmt.Errorf("it holds %d bytes, the manifest says %d", got, want)
	}
	return nil
}

// close frees what the decoders hold.
func (d *decompressors) close() {
	if d.zstd != nil {
		d.zstd.close()
	}
}
