package progress

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestProgressIntoAFileIsALineForEveryPhaseAndTenth(t *testing.T) {
	var out strings.Builder
	line := New(&out, "backup")
	for _, p := range []domain.Progress{
		{Phase: domain.PhasePreparing},
		{Phase: domain.PhasePreparing},
		{Phase: domain.PhaseDumping, Bytes: 5e6, Total: 100e6, Rate: 2e6, Chunks: 4},
		{Phase: domain.PhaseDumping, Bytes: 9e6, Total: 100e6},
		{Phase: domain.PhaseDumping, Bytes: 10e6, Total: 100e6},
		{Phase: domain.PhaseDumping, Bytes: 120e6, Total: 100e6}, // an estimate may be too low
		{Phase: domain.PhaseDumping, Bytes: 130e6, Total: 100e6},
		{Phase: domain.PhaseVerifying},
	} {
		line.Show(p)
	}
	line.End()

	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 5)
	require.Contains(t, lines[1], "dumping    5.0 MB of about 100.0 MB, 2.0 MB/s, 4 chunks, ")
	require.Contains(t, lines[3], "120.0 MB of about 100.0 MB")
	require.NotContains(t, out.String(), "\r")
}
