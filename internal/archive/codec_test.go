package archive

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// TestEveryLevelIsReadWithTheWindowOfTheFormat: the decoder refuses a window of more than maxWindow,
// whichever encoder made the frame.
func TestEveryLevelIsReadWithTheWindowOfTheFormat(t *testing.T) {
	for _, c := range []struct{ longest, level int }{
		{2 * mib, 0}, {2 * mib, 19}, {4 * mib, 3}, {4 * mib, 12}, {4 * mib, 16}, {8 * mib, 0}, {8 * mib, 3}, {8 * mib, 9}, {32 * mib, 0}, {32 * mib, 3},
	} {
		plaintext := dumpText(7, c.longest)
		encoder, err := newCompressor(domain.CompressionZstd, c.level, c.longest)
		require.NoError(t, err)
		var decoder decompressors
		portable, err := newGoUnzstd()
		require.NoError(t, err)
		for _, size := range []int{1, 1000, c.longest} {
			var frame bytes.Buffer
			require.NoError(t, encoder.compress(&frame, plaintext[:size]))
			got := make([]byte, size)
			require.NoError(t, decoder.decode(domain.CompressionZstd, frame.Bytes(), got), "%+v, %d bytes", c, size)
			require.True(t, bytes.Equal(plaintext[:size], got), "%+v, %d bytes", c, size)
			clear(got)
			require.NoError(t, portable.decode(frame.Bytes(), got), "%+v, %d bytes, without cgo", c, size)
			require.True(t, bytes.Equal(plaintext[:size], got), "%+v, %d bytes, without cgo", c, size)
		}
		decoder.close()
		portable.close()
	}
}

func TestBothDecodersRefuseWhatIsNotTheWholePlaintext(t *testing.T) {
	plaintext := dumpText(8, 300*kib)
	frameOf := func(plaintext []byte) []byte {
		encoder, err := newCompressor(domain.CompressionZstd, 0, mib)
		require.NoError(t, err)
		var frame bytes.Buffer
		require.NoError(t, encoder.compress(&frame, plaintext))
		return frame.Bytes()
	}
	frame := frameOf(plaintext)
	ours, err := newUnzstd()
	require.NoError(t, err)
	portable, err := newGoUnzstd()
	require.NoError(t, err)
	for name, decoder := range map[string]zstdDecoder{"of this build": ours, "in Go": portable} {
		t.Run(name, func(t *testing.T) {
			defer decoder.close()
			for what, c := range map[string]struct {
				frame []byte
				size  int
			}{
				"nothing":           {nil, len(plaintext)},
				"nothing of it":     {nil, 0},
				"a frame cut short": {frame[:len(frame)-1], len(plaintext)},
				"half a frame":      {frame[:len(frame)/2], len(plaintext)},
				"no frame":          {plaintext, len(plaintext)},
				"a longer one":      {frame, len(plaintext) - 1},
				"a shorter one":     {frame, len(plaintext) + 1},
				"one with a tail":   {append(bytes.Clone(frame), 'x'), len(plaintext)},
			} {
				if what == "nothing of it" && name == "in Go" {
					continue // no frame at all is for it the plaintext of no bytes
				}
				memory := make([]byte, c.size+decodeSlack)
				require.Error(t, decoder.decode(c.frame, memory[:c.size:c.size]), what)
				require.Equal(t, make([]byte, decodeSlack), memory[c.size:], "%s: behind the end", what)
			}
			got := make([]byte, len(plaintext))
			require.NoError(t, decoder.decode(frame, got), "after all that")
			require.Equal(t, plaintext, got)
			require.NoError(t, decoder.decode(frameOf(nil), nil))
		})
	}
}
