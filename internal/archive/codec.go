package archive

import (
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

// compressor is a reusable encoder of one frame at a time.
type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// plain is the compressor that does not compress.
type plain struct{ io.Writer }

func (p *plain) Reset(w io.Writer) { p.Writer = w }
func (p *plain) Close() error      { return nil }

// newCompressor returns an encoder for chunks of at most longest bytes. Level 0 is the fastest;
// above it levels are those of the command-line tool of the algorithm. All work in the calling
// goroutine: chunks are what runs in parallel.
func newCompressor(algorithm domain.Compression, level, longest int) (compressor, error) {
	switch algorithm {
	case domain.CompressionNone:
		return &plain{}, nil
	case domain.CompressionZstd:
		speed, window := zstd.SpeedFastest, fastWindow
		if level > 0 {
			speed, window = zstd.EncoderLevelFromZstd(level), maxWindow
		}
		window = max(zstd.MinWindowSize, min(window, 1<<bits.Len(uint(longest-1))))
		// No checksum in the frame: the manifest has one of the object, and age authenticates it.
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(window), zstd.WithEncoderCRC(false))
	case domain.CompressionGzip:
		if level == 0 {
			level = gzip.BestSpeed
		}
		return gzip.NewWriterLevel(nil, level)
	case domain.CompressionLZ4:
		w := lz4.NewWriter(nil)
		options := []lz4.Option{lz4.BlockSizeOption(lz4.Block256Kb), lz4.ConcurrencyOption(1)}
		if level > 0 {
			options = append(options, lz4.CompressionLevelOption(lz4.CompressionLevel(1<<(8+level))))
		}
		return w, w.Apply(options...)
	default:
		return nil, fmt.Errorf("compression %q is not zstd, gzip, lz4 or none", algorithm)
	}
}

// decompressors keeps the decoders of one goroutine for the next chunk.
type decompressors struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
	lz4  *lz4.Reader
}

// open returns a reader of the plaintext of the frame in r.
func (d *decompressors) open(algorithm domain.Compression, r io.Reader) (io.Reader, error) {
	switch algorithm {
	case domain.CompressionZstd:
		if d.zstd == nil {
			decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			d.zstd = decoder
		}
		return d.zstd, d.zstd.Reset(r)
	case domain.CompressionGzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		return d.gzip, d.gzip.Reset(r)
	case domain.CompressionLZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(nil)
		}
		d.lz4.Reset(r)
		return d.lz4, nil
	default:
		return r, nil
	}
}

// close frees what the decoders hold.
func (d *decompressors) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}
