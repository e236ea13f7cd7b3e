package files_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
)

func TestFilesIsAnEngineAndAStager(t *testing.T) {
	root, place := newTree(t), t.TempDir()
	scratch := filepath.Join(place, "scratch")
	require.NoError(t, os.Mkdir(scratch, 0o700))
	targets := 0
	enginetest.Run(t, enginetest.Harness{
		Engine: files.New(files.Options{ScratchDir: scratch}), Source: source(root), MinTables: 300, MinBytes: 5 << 20,
		MissingDatabase: func(src engine.Source) engine.Source {
			src.Config.SourcePath = filepath.Join(root, "no such directory")
			return src
		},
		Hold: func(*testing.T, engine.Source) func() { return func() {} },
		FreshDatabase: func(t *testing.T) string {
			targets++
			target := filepath.Join(place, "target-"+string(rune('a'+targets)))
			t.Cleanup(func() { remove(t, target) })
			return target
		},
		In: func(src engine.Source, path string) engine.Source {
			src.Config.SourcePath = path
			return src
		},
		Content:   func(t *testing.T, src engine.Source) any { return content(t, src.Config.SourcePath) },
		Databases: func(t *testing.T) []string { return append(list(t, place), list(t, scratch)...) },
	})
}

func list(t *testing.T, directory string) []string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	require.NoError(t, err)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// remove removes a tree with directories that can not be written to.
func remove(t *testing.T, path string) {
	t.Helper()
	_ = filepath.WalkDir(path, func(at string, e os.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(at, 0o700) //nolint:gosec // to remove it
		}
		return nil
	})
	require.NoError(t, os.RemoveAll(path))
}

func TestTheTopOfTheTreeIsDescribed(t *testing.T) {
	schema, err := files.New(files.Options{}).Schema(context.Background(), source(newTree(t)))
	require.NoError(t, err)
	require.False(t, schema.Truncated)
	at := func(name string) int {
		for i, o := range schema.Objects {
			if o.Name == name {
				return i
			}
		}
		t.Fatal("no " + name)
		return -1
	}
	require.Equal(t, "directory", schema.Objects[at("a")].Kind)
	require.Greater(t, schema.Objects[at("a")].Bytes, int64(3<<20))
	require.Equal(t, int64(3<<20+17), schema.Objects[at("a/large.bin")].Bytes)
	require.Equal(t, "symlink", schema.Objects[at("absolute")].Kind)
	require.Greater(t, schema.Objects[at("many/01")].Bytes, int64(40_000))
	require.False(t, slices.ContainsFunc(schema.Objects, func(o domain.SchemaObject) bool { return strings.Count(o.Name, "/") > 1 }))
}
