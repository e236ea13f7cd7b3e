package files_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/files"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func browse(b *backup, folder, after string, limit int) ([]domain.BackedUpFile, string, error) {
	var streams []engine.Stream
	for _, s := range b.Streams() {
		streams = append(streams, s.Stream)
	}
	return files.New(files.Options{}).Browse(context.Background(), streams, b.Opener(), folder, after, limit)
}

func TestABackupIsBrowsedFolderByFolderAndPageByPage(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a/x", "12345")
	write(t, root, "a/sub/deep/file", "x")
	write(t, root, "a.b", "")
	write(t, root, "a-b/y", "")
	write(t, root, "na\xffme", "")
	write(t, root, `quoted "name"`, "")
	require.NoError(t, os.Mkdir(filepath.Join(root, "empty"), 0o700))
	require.NoError(t, os.Symlink("../x", filepath.Join(root, "a/link")))
	require.NoError(t, os.Link(filepath.Join(root, "a/x"), filepath.Join(root, "z")))
	write(t, root, "gone", "soon")
	full := dump(t, source(root), nil)
	require.NoError(t, os.Remove(filepath.Join(root, "gone")))
	b := dump(t, source(root), full) // its index tells of what is gone

	for folder, want := range map[string][]string{
		"":           {"a folder", "a-b folder", "a.b file", "empty folder", "na\ufffdme file", `quoted "name" file`, "z hardlink"},
		"a":          {"link symlink", "sub folder", "x file"},
		"a/sub":      {"deep folder"},
		"a/sub/deep": {"file file"},
		"empty":      nil,
	} {
		for limit := 1; limit <= 8; limit++ {
			var got []string
			for after, first := "", true; first || after != ""; first = false {
				entries, next, err := browse(b, folder, after, limit)
				require.NoError(t, err, folder)
				require.LessOrEqual(t, len(entries), limit)
				for _, e := range entries {
					got = append(got, e.Name+" "+e.Type)
					require.Equal(t, e.Type == "file", e.Size != nil)
				}
				after = next
			}
			require.Equal(t, want, got, "%q by %d", folder, limit)
		}
	}
	entries, _, err := browse(b, "a", "", 10)
	require.NoError(t, err)
	require.Equal(t, []any{"a/link", "../x"}, []any{entries[0].Path, entries[0].Target})
	require.Equal(t, []any{"a/x", int64(5)}, []any{entries[2].Path, *entries[2].Size})
	for _, missing := range []string{"b", "a/x", "a/su", "a/sub/deepest", "zz", "a.b", "gone"} {
		_, _, err := browse(b, missing, "", 10)
		require.Equal(t, failure.NotFound, failure.ClassOf(err), missing)
	}
}
