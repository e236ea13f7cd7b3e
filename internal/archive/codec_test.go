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
		for _, size := range []int{1, 1000, c.longest} {
			var frame bytes.Buffer
			require.NoError(t, encoder.compress(&frame, plaintext[:size]))
			got := make([]byte, size)
			require.NoError(t, decoder.decode(domain.CompressionZstd, frame.Bytes(), got), "%+v, %d bytes", c, size)
			require.True(t, bytes.Equal(plaintext[:size], got), "%+v, %d bytes", c, size)
		}
		decoder.close()
	}
}
