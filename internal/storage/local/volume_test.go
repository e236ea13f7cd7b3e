package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
)

func volume(t *testing.T, path string) string {
	t.Helper()
	store, err := local.Open(t.Context(), local.Options{Root: path})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	named, err := storage.VolumeOf(t.Context(), retry.New(store, retry.Options{}))
	require.NoError(t, err)
	require.NotEmpty(t, named)
	return named
}

func TestAnEmptiedDirectoryIsTheSameVolume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	before := volume(t, path)
	require.NoError(t, os.WriteFile(filepath.Join(path, "object"), nil, 0o600))
	require.NoError(t, os.Remove(filepath.Join(path, "object")))
	require.Equal(t, before, volume(t, path))
}

func TestWhatStandsInADirectorysPlaceIsAnotherVolume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	before := volume(t, path)
	require.NotEqual(t, before, volume(t, path+"2"), "another directory of the file system")
	require.NoError(t, os.Rename(path, path+"3")) // as unmounting it would show what was below
	require.NotEqual(t, before, volume(t, path))
}

func TestAStoreThatCanNotTellHasNoVolume(t *testing.T) {
	named, err := storage.VolumeOf(t.Context(), faulty.New(memory.New(0)))
	require.NoError(t, err)
	require.Empty(t, named)
}
