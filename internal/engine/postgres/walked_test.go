package postgres

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The end of a stream is often a read of its own, which brings nothing: the parts of the one before do not begin in it. The
// archive's writer would look for them behind what it has cut.
func TestAReadThatBringsNothingBeginsNoParts(t *testing.T) {
	walk := func(w *walker) (summary, error) {
		for !w.atEnd() {
			w.starts = append(w.starts, w.position())
			if err := w.skip(10); err != nil {
				return summary{}, err
			}
		}
		return summary{}, nil
	}
	s := &walked{r: strings.NewReader(strings.Repeat("x", 20)), w: newWalkerOf(walk)}
	n, err := s.Read(make([]byte, 100))
	require.NoError(t, err)
	require.Equal(t, 20, n)
	require.Equal(t, []int64{0, 10}, s.Parts())
	n, err = s.Read(make([]byte, 100))
	require.ErrorIs(t, err, io.EOF)
	require.Zero(t, n)
	require.Empty(t, s.Parts())
}
