package files_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
)

// untar extracts with GNU tar, as somebody without DataGuardian would.
func untar(t *testing.T, archive []byte) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "untarred")
	require.NoError(t, os.Mkdir(to, 0o700))
	command := exec.Command("tar", "--extract", "--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp", "--directory", to)
	command.Stdin = bytes.NewReader(archive)
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Empty(t, string(output))
	return to
}

// timeless is content without the times of directories: GNU tar makes some links last, and what they are
// in gets the time of that.
func timeless(all map[string]node) map[string]node {
	out := map[string]node{}
	for path, n := range all {
		if n.Mode&unix.S_IFMT == unix.S_IFDIR {
			n.MTime = 0
		}
		out[path] = n
	}
	return out
}

// requireSame tells what differs in few words.
func requireSame(t *testing.T, want, got map[string]node) {
	t.Helper()
	for path, n := range want {
		require.Equal(t, n, got[path], path)
	}
	for path := range got {
		_, known := want[path]
		require.True(t, known, path)
	}
}

// restoreTo restores into a fresh directory.
func restoreTo(t *testing.T, b *backup, change func(*engine.StageRequest)) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "restored")
	req := b.Request("aaaa0001", to)
	if change != nil {
		change(&req)
	}
	enginetest.Restore(t, files.New(files.Options{}), source(to), req, b.Opener())
	return to
}

func TestATreeComesBackAsItWas(t *testing.T) {
	root := newTree(t)
	want := content(t, root)
	b := dump(t, source(root), nil)
	require.Empty(t, b.report.Warnings)
	t.Run("by a restore", func(t *testing.T) { requireSame(t, want, content(t, restoreTo(t, b, nil))) })
	t.Run("by GNU tar", func(t *testing.T) {
		requireSame(t, timeless(want), timeless(content(t, untar(t, b.stream("files.tar")))))
	})
	t.Run("by inspection", func(t *testing.T) {
		for _, s := range b.Streams() {
			n, err := files.New(files.Options{}).Inspect(context.Background(), s.Stream, bytes.NewReader(s.Bytes))
			require.NoError(t, err)
			if s.Stream.Name == "files.tar" {
				require.Len(t, want, n)
			}
		}
	})
}

func TestAnIncrementReadsOnlyWhatChanged(t *testing.T) {
	root := newTree(t)
	src := source(root)
	full := dump(t, src, nil)
	tail := int64(100 << 10) // directories and links are written each time

	same := dump(t, src, full)
	require.Less(t, same.read, tail)
	requireSame(t, content(t, root), content(t, restoreTo(t, same, nil)))

	b := same
	for name, change := range map[string]func(){
		"a file is rewritten":       func() { write(t, root, "many/03/003", "new") },
		"a large file is rewritten": func() { write(t, root, "a/large.bin", random(9, 2<<20)) },
		"a file is added":           func() { write(t, root, "many/03/0031", "added") },
		"a file is removed":         func() { require.NoError(t, os.Remove(filepath.Join(root, "many/05/005"))) },
		"a directory is removed":    func() { require.NoError(t, os.RemoveAll(filepath.Join(root, "many/06"))) },
		"a directory becomes a file": func() {
			require.NoError(t, os.RemoveAll(filepath.Join(root, "many/01")))
			write(t, root, "many/01", "a file")
		},
		"a file becomes a directory": func() {
			require.NoError(t, os.Remove(filepath.Join(root, "many/02/002")))
			write(t, root, "many/02/002/x", "in it")
		},
		"a file becomes a link": func() {
			require.NoError(t, os.Remove(filepath.Join(root, "many/02/009")))
			require.NoError(t, os.Symlink("016", filepath.Join(root, "many/02/009")))
		},
		"only the mode changes": func() { require.NoError(t, os.Chmod(filepath.Join(root, "many/03/010"), 0o600)) },
		"the first name of a file goes": func() {
			require.NoError(t, os.Remove(filepath.Join(root, "a.txt")))
			require.NoError(t, os.Remove(filepath.Join(root, "a/relative")))
		},
		"the content changes, size and time do not": func() {
			path := filepath.Join(root, "many/04/004")
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte(random(77, int(info.Size()))), 0o600))
			require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
		},
		"a file is replaced by a renamed one": func() {
			require.NoError(t, os.Rename(filepath.Join(root, "many/03/017"), filepath.Join(root, "many/03/024")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			change()
			want := content(t, root)
			next := dump(t, src, b)
			require.Empty(t, next.report.Warnings)
			require.Less(t, next.read, int64(len(full.stream("files.tar"))/2)+tail)
			requireSame(t, want, content(t, restoreTo(t, next, nil)))
			requireSame(t, timeless(want), timeless(content(t, untar(t, next.stream("files.tar")))))
			differential := dump(t, src, full)
			requireSame(t, timeless(want), timeless(content(t, untar(t, differential.stream("files.tar")))))
			b = next
		})
	}
}

// Older versions that packs hold besides are bounded.
func TestManyIncrementsDoNotPileUpOldVersions(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	for i := range 40 {
		write(t, root, string(rune('a'+i%26))+"/"+string(rune('a'+i)), random(uint64(i), 100_000))
	}
	src := source(root)
	b := dump(t, src, nil)
	first := len(b.stream("files.tar"))
	for round := range 30 {
		for i := range 4 {
			k := (round*4 + i) % 40
			write(t, root, string(rune('a'+k%26))+"/"+string(rune('a'+k)), random(uint64(1000+round*10+i), 100_000))
		}
		b = dump(t, src, b)
		require.Less(t, len(b.stream("files.tar")), 5*first/2)
	}
	want := content(t, root)
	requireSame(t, timeless(want), timeless(content(t, untar(t, b.stream("files.tar")))))
	requireSame(t, want, content(t, restoreTo(t, b, nil)))
}
