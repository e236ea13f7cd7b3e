package files_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// record is one of an index that somebody made by hand.
type record struct {
	kind   byte
	path   string
	size   uint64
	link   string
	pack   uint64
	offset uint64
	header uint64
	data   uint64
}

const (
	file, dir, symlink, hardlink = 1, 2, 3, 4
)

// forge makes an index of records with packs of the given lengths.
func forge(records []record, packs ...uint64) []byte {
	b := []byte("dataguardian files index 1\n")
	for _, r := range records {
		b = append(b, r.kind, 0, 0)
		b = append(binary.AppendUvarint(b, uint64(len(r.path))), r.path...)
		for _, n := range []uint64{0o755, 0, 0, r.size} {
			b = binary.AppendUvarint(b, n)
		}
		b = append(b, 0, 0, 0, 0) // times, inode, device
		b = append(b, make([]byte, 8)...)
		for _, n := range []uint64{r.pack, r.offset, r.header, r.data} {
			b = binary.AppendUvarint(b, n)
		}
		if r.kind == symlink || r.kind == hardlink {
			b = append(binary.AppendUvarint(b, uint64(len(r.link))), r.link...)
		}
		b = append(b, 0)
	}
	b = binary.AppendUvarint(append(b, 0), uint64(len(records)))
	b = binary.AppendUvarint(b, uint64(len(packs)))
	for _, p := range packs {
		b = binary.AppendUvarint(b, p)
	}
	return b
}

func TestAMaliciousArchiveWritesNothingOutsideTheRoot(t *testing.T) {
	root := record{kind: dir, path: "."}
	evil := record{kind: file, path: "evil", size: 4, header: 512, data: 4}
	at := func(r record, path string) record {
		r.path = path
		return r
	}
	for name, records := range map[string][]record{
		"a path that climbs":                                   {root, at(evil, "../evil")},
		"a path that climbs in the middle":                     {root, {kind: dir, path: "a"}, at(evil, "a/../../evil")},
		"an absolute path":                                     {root, at(evil, "/tmp/evil")},
		"a path that is not clean":                             {root, {kind: dir, path: "a"}, at(evil, "a//evil")},
		"the parent itself":                                    {root, at(evil, "..")},
		"an empty path":                                        {root, at(evil, "")},
		"a path with a NUL":                                    {root, at(evil, "e\x00vil")},
		"the root as a symbolic link":                          {{kind: symlink, path: ".", link: "/tmp"}, evil},
		"a file below a symbolic link":                         {root, {kind: symlink, path: "link", link: ".."}, at(evil, "link/evil")},
		"a file below a symbolic link that is a directory too": {root, {kind: dir, path: "link"}, {kind: symlink, path: "link", link: ".."}, at(evil, "link/evil")},
		"a file below a file":                                  {root, evil, at(evil, "evil/evil")},
		"a file in a directory that is not listed":             {root, at(evil, "nowhere/evil")},
		"a hard link to outside":                               {root, {kind: hardlink, path: "link", link: "../outside"}},
		"a hard link to an absolute path":                      {root, {kind: hardlink, path: "link", link: "/etc/passwd"}},
		"a hard link through a symbolic link":                  {root, {kind: symlink, path: "a", link: ".."}, {kind: hardlink, path: "link", link: "a/outside"}},
		"a hard link to a symbolic link":                       {root, {kind: symlink, path: "a", link: "../outside"}, {kind: hardlink, path: "link", link: "a"}},
		"a path twice":                                         {root, evil, evil},
		"no root first":                                        {evil},
		"an entry behind the end of its pack":                  {root, {kind: file, path: "evil", size: 4, offset: 512, header: 512, data: 4}},
		"an entry in a pack that is not there":                 {root, {kind: file, path: "evil", size: 4, pack: 7, header: 512, data: 4}},
		"two entries with the same data":                       {root, evil, at(evil, "evil2")},
		"a size that is not that of the data":                  {root, {kind: file, path: "evil", size: 1 << 40, header: 512, data: 4}},
		"a kind that does not exist":                           {root, {kind: 9, path: "evil"}},
	} {
		t.Run(name, func(t *testing.T) {
			place := t.TempDir()
			write(t, place, "outside", "untouched")
			b := &backup{Archive: enginetest.Archive{
				Stream: engine.Stream{Name: "files.tar", Format: "files-tar"}, Bytes: append(bytes.Repeat([]byte("evil"), 256), make([]byte, 1024)...),
				Others: []enginetest.Archive{{Stream: engine.Stream{Name: "files.index", Format: "files-index-1"}, Bytes: forge(records, 1024)}},
			}}
			to := filepath.Join(place, "target")
			req := b.Request("abcd", to)
			_, err := files.New(files.Options{}).Stage(context.Background(), source(to), req, b.Opener())
			enginetest.RequireClass(t, failure.Corrupt, err)
			require.Equal(t, []string{"outside"}, list(t, place))
			require.NoFileExists(t, "/tmp/evil")
		})
	}
}

func TestLinksThatPointOutsideAreRestoredAndNotFollowed(t *testing.T) {
	place := t.TempDir()
	write(t, place, "outside/file", "untouched")
	root := filepath.Join(place, "source")
	write(t, root, "in/file", "from the backup")
	b := dump(t, source(root), nil)
	target := filepath.Join(place, "target")
	require.NoError(t, os.Mkdir(target, 0o755)) //nolint:gosec // a target
	require.NoError(t, os.Symlink("../outside", filepath.Join(target, "in")))
	e, req := files.New(files.Options{}), b.Request("abcd", target)
	req.IncludePaths, req.DropExisting = []string{"in/file"}, true
	_, err := e.Stage(context.Background(), source(target), req, b.Opener())
	require.NoError(t, err)
	_, err = e.Promote(context.Background(), source(target), req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.ErrorContains(t, err, "symbolic link")
	require.NoError(t, e.Discard(context.Background(), source(target), req))
	require.Equal(t, "untouched", read(t, filepath.Join(place, "outside/file")))
	require.Equal(t, []string{"in"}, list(t, target))
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path) //nolint:gosec // a test's own
	require.NoError(t, err)
	return string(data)
}

func TestChosenPathsAreMovedIntoATargetWhoseRestStays(t *testing.T) {
	root := newTree(t)
	want := content(t, root)
	b := dump(t, source(root), nil)
	target := filepath.Join(t.TempDir(), "target")
	write(t, target, "a/b/kept.txt", "of the target")
	write(t, target, "other/kept.txt", "of the target too")
	write(t, target, "a/b/c/deep.txt", "newer")
	e, req := files.New(files.Options{}), b.Request("abcd", target)
	req.IncludePaths = []string{"/a/b/", "many/03", "z-hard"}
	err := e.CheckTarget(context.Background(), source(target), req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), "drop_existing")

	req.DropExisting = true
	for range 2 { // Stage after a crash
		_, err = e.Stage(context.Background(), source(target), req, b.Opener())
		require.NoError(t, err)
	}
	for range 2 {
		warnings, err := e.Promote(context.Background(), source(target), req)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}
	require.NoError(t, e.Discard(context.Background(), source(target), req))
	got := content(t, target)
	for _, path := range []string{"a/b/c/deep.txt", "many/03", "many/03/003", "many/03/010"} {
		require.Equal(t, want[path], got[path], path)
	}
	require.Equal(t, want["z-hard"].Content, got["z-hard"].Content, "the data of a hard link whose other name is not restored")
	require.NotContains(t, got, "many/04")
	require.NotContains(t, got, "a/large.bin")
	require.Equal(t, "of the target", read(t, filepath.Join(target, "a/b/kept.txt")))
	require.Equal(t, "of the target too", read(t, filepath.Join(target, "other/kept.txt")))
	require.Equal(t, []string{"a", "many", "other", "z-hard"}, list(t, target))

	req.IncludePaths = []string{"no/such/path"}
	_, err = e.Stage(context.Background(), source(target), req, b.Opener())
	enginetest.RequireClass(t, failure.NotFound, err)
	for _, bad := range []string{"../etc", "a/../../b", "a\x00b"} {
		req.IncludePaths = []string{bad}
		enginetest.RequireClass(t, failure.ConfigInvalid, e.CheckTarget(context.Background(), source(target), req))
	}
}

func TestOnlyWhatIsChosenIsRead(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, root, name, random(uint64(name[0]), 30<<20))
	}
	b := dump(t, source(root), nil)
	read := int64(0)
	open := func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		r, err := b.Opener()(ctx, name, offset)
		return countingCloser{r, &read}, err
	}
	to := filepath.Join(t.TempDir(), "target")
	req := b.Request("abcd", to)
	req.IncludePaths = []string{"c"}
	enginetest.Restore(t, files.New(files.Options{}), source(to), req, open)
	require.Less(t, read, int64(32<<20))
	require.Equal(t, []string{"c"}, list(t, to))
}

type countingCloser struct {
	io.ReadCloser
	n *int64
}

func (c countingCloser) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.n += int64(n)
	return n, err
}

func TestTargetsThatCanNotBeReplaced(t *testing.T) {
	root := newTree(t)
	b := dump(t, source(root), nil)
	place := t.TempDir()
	write(t, place, "full/file", "x")
	require.NoError(t, os.Symlink("full", filepath.Join(place, "link")))
	mount := filepath.Join(place, "mount")
	require.NoError(t, os.Mkdir(mount, 0o700))
	require.NoError(t, unix.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(mount, 0)) })
	e := files.New(files.Options{})
	for name, c := range map[string]struct {
		target, says string
		drop         bool
	}{
		"it is not empty":           {target: place + "/full", says: "drop_existing"},
		"it is a file":              {target: place + "/full/file", says: "not a directory", drop: true},
		"it is a symbolic link":     {target: place + "/link", says: "not a directory", drop: true},
		"its parent does not exist": {target: place + "/no/such", says: "Make the directory first"},
		"it is a mount point":       {target: mount, says: "is mounted there"},
		"it is the root":            {target: "/", says: "absolute path", drop: true},
		"it is a relative path":     {target: "somewhere", says: "absolute path", drop: true},
		"it is nothing":             {target: "", says: "absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			req := b.Request("abcd", c.target)
			req.DropExisting = c.drop
			err := e.CheckTarget(context.Background(), source(c.target), req)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
			require.Contains(t, failure.Message(err), c.says)
			_, err = e.Stage(context.Background(), source(c.target), req, b.Opener())
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
		})
	}
	require.Equal(t, "x", read(t, filepath.Join(place, "full/file")))

	t.Run("a disk that is too small leaves the target as it was", func(t *testing.T) {
		to := filepath.Join(mount, "target")
		write(t, to, "before", "untouched")
		req := b.Request("abcd", to)
		req.DropExisting = true
		_, err := e.Stage(context.Background(), source(to), req, b.Opener())
		enginetest.RequireClass(t, failure.StorageFull, err)
		require.Contains(t, failure.Message(err), "Make room")
		require.Equal(t, []string{"target"}, list(t, mount))
		require.Equal(t, "untouched", read(t, filepath.Join(to, "before")))
	})
}

// A crash between any two steps of a restore leaves something that the next call goes on from.
func TestPromoteGoesOnWhereItStopped(t *testing.T) {
	root := newTree(t)
	want := content(t, root)
	b := dump(t, source(root), nil)
	e := files.New(files.Options{})
	for name, crash := range map[string]func(t *testing.T, target, staging string){
		"before it began": func(*testing.T, string, string) {},
		"when the names were exchanged": func(t *testing.T, target, staging string) {
			require.NoError(t, unix.Renameat2(unix.AT_FDCWD, staging, unix.AT_FDCWD, target, unix.RENAME_EXCHANGE))
		},
		"when the target was moved aside": func(t *testing.T, target, staging string) {
			require.NoError(t, os.Rename(target, staging+"-old"))
		},
		"when the old one was partly removed": func(t *testing.T, target, staging string) {
			require.NoError(t, os.Rename(target, staging+"-old"))
			require.NoError(t, os.Rename(staging, target))
			require.NoError(t, os.Remove(staging+"-old/before"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			place := t.TempDir()
			target := filepath.Join(place, "target")
			write(t, target, "before", "old")
			req := b.Request("abcd", target)
			req.DropExisting = true
			report, err := e.Stage(context.Background(), source(target), req, b.Opener())
			require.NoError(t, err)
			crash(t, target, report.Staging)
			for range 2 {
				warnings, err := e.Promote(context.Background(), source(target), req)
				require.NoError(t, err)
				require.Empty(t, warnings)
			}
			require.NoError(t, e.Discard(context.Background(), source(target), req))
			requireSame(t, want, content(t, target))
			require.Equal(t, []string{"target"}, list(t, place))
		})
	}
	t.Run("a discard gives the target its name back", func(t *testing.T) {
		place := t.TempDir()
		target := filepath.Join(place, "target")
		write(t, target, "before", "old")
		req := b.Request("abcd", target)
		req.DropExisting = true
		report, err := e.Stage(context.Background(), source(target), req, b.Opener())
		require.NoError(t, err)
		require.NoError(t, os.Rename(target, report.Staging+"-old"))
		require.NoError(t, e.Discard(context.Background(), source(target), req))
		require.Equal(t, "old", read(t, filepath.Join(target, "before")))
		require.Equal(t, []string{"target"}, list(t, place))
	})
}

func TestATenGigabyteSparseFileIsQuickAndSmall(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.Mkdir(root, 0o700))
	sparse(t, filepath.Join(root, "disk.img"), 10<<30, 0, 5<<30, 10<<30-8192)
	sparse(t, filepath.Join(root, "nothing.img"), 10<<30)
	began := time.Now()
	b := dump(t, source(root), nil)
	require.Less(t, len(b.stream("files.tar")), 100<<10)
	to := restoreTo(t, b, nil)
	untarred := untar(t, b.stream("files.tar"))
	require.Less(t, time.Since(began), 20*time.Second)
	for _, place := range []string{to, untarred} {
		for _, name := range []string{"disk.img", "nothing.img"} {
			var st, old unix.Stat_t
			require.NoError(t, unix.Stat(filepath.Join(place, name), &st))
			require.NoError(t, unix.Stat(filepath.Join(root, name), &old))
			require.Equal(t, int64(10<<30), st.Size)
			require.LessOrEqual(t, st.Blocks, old.Blocks+64)
			require.Equal(t, old.Mtim, st.Mtim)
		}
		for _, at := range []int64{0, 5 << 30, 10<<30 - 8192} {
			f, err := os.Open(filepath.Join(place, "disk.img")) //nolint:gosec // a test's own
			require.NoError(t, err)
			data := make([]byte, 4096)
			_, err = f.ReadAt(data, at)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.Equal(t, random(uint64(at), 4096), string(data))
		}
	}
}

func TestAFullDiskFailsARestoreAndLeavesNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	write(t, root, "large", random(1, 2<<20))
	b := dump(t, source(root), nil)
	small := storagetest.SmallDir(t, 1<<20)
	to := filepath.Join(small, "target")
	write(t, to, "before", "what was there")
	req := b.Request("abcd", to)
	req.DropExisting = true
	_, err := files.New(files.Options{}).Stage(enginetest.Context(t), source(to), req, b.Opener())
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.NotEmpty(t, failure.HintOf(err))
	require.NoError(t, files.New(files.Options{}).Discard(enginetest.Context(t), source(to), req))
	require.Equal(t, []string{"before"}, list(t, to))
	left, err := os.ReadDir(small)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing of the staging is left")
}
