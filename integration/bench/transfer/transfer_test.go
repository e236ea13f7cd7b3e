package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

func TestWhatIsPutIsGot(t *testing.T) {
	from, to, root := t.TempDir(), t.TempDir(), t.TempDir()
	for i := range 2*AtOnce + 1 {
		body := bytes.Repeat([]byte{byte(i)}, i*100_000)
		require.NoError(t, os.WriteFile(filepath.Join(from, fmt.Sprint("object-", i)), body, 0o600))
	}
	location := filepath.Join(t.TempDir(), "location.json")
	document, err := json.Marshal(recovery.Location{Type: domain.StorageLocal, Config: domain.StorageConfig{Path: root}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(location, document, 0o600))

	run := func(arguments []string) {
		require.Equal(t, Command, arguments[0])
		require.NoError(t, Main(t.Context(), arguments[1:]))
	}
	run(PutArguments(location, from))
	run(GetArguments(location, to))
	got, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, got, 2*AtOnce+1)
	for _, entry := range got {
		want, err := os.ReadFile(filepath.Join(from, entry.Name()))
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Join(to, entry.Name()))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, have), entry.Name())
	}
}

func TestATransferWantsItsArguments(t *testing.T) {
	require.ErrorContains(t, Main(t.Context(), []string{put}), "wants")
	require.ErrorContains(t, Main(t.Context(), []string{"move", "a", "b"}), "wants")
	require.ErrorContains(t, Main(t.Context(), []string{put, filepath.Join(t.TempDir(), "none"), t.TempDir()}), "none")
}
