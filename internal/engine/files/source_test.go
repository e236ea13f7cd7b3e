package files_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// paths are the entries of a backup, without the root.
func paths(t *testing.T, b *backup) []string {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(b.stream("files.tar")))
	var names []string
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		require.NoError(t, err)
		if name := strings.TrimSuffix(h.Name, "/"); name != "." {
			names = append(names, name)
		}
	}
}

func TestPatternsChooseAsGitignoreDoes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	for _, name := range []string{"a.log", "keep.log", "src/main.go", "src/main.o", "src/deep/x.o", "build/out", "src/build/out", "docs/a?b", "docs/axb", "c++/x", "[x]/y"} {
		write(t, root, name, "x")
	}
	for name, c := range map[string]struct{ include, exclude, want []string }{
		"names anywhere":              {exclude: []string{"*.log", "*.o"}, want: []string{"[x]", "[x]/y", "build", "build/out", "c++", "c++/x", "docs", "docs/a?b", "docs/axb", "src", "src/build", "src/build/out", "src/deep", "src/main.go"}},
		"all but one":                 {exclude: []string{"/*", "!/keep.log"}, want: []string{"keep.log"}},
		"tied to the root by a slash": {exclude: []string{"/build", "docs/a?b", "src/**/*.o", "c++/", `\[x\]`, "*.log", "# no pattern", ""}, want: []string{"src", "src/build", "src/build/out", "src/deep", "src/main.go", "docs"}},
		"directories only":            {exclude: []string{"a.log/", "src/", "docs/", "build/", "c++", `\[*`}, want: []string{"a.log", "keep.log"}},
		"included":                    {include: []string{"*.go", "/build"}, want: []string{"build", "build/out", "src", "src/main.go"}},
		"included and excluded":       {include: []string{"src"}, exclude: []string{"*.o", "build"}, want: []string{"src", "src/deep", "src/main.go"}},
	} {
		t.Run(name, func(t *testing.T) {
			src := source(root)
			src.Config.IncludePatterns, src.Config.ExcludePatterns = c.include, c.exclude
			slices.Sort(c.want)
			require.Equal(t, c.want, paths(t, dump(t, src, nil)))
		})
	}
	src := source(root)
	src.Config.ExcludePatterns = []string{"[a-"}
	_, err := tryDump(context.Background(), src, nil)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
}

func TestWhatIsNoFileIsSkippedWithAWarning(t *testing.T) {
	root := filepath.Join(t.TempDir(), "s")
	write(t, root, "file", "x")
	require.NoError(t, unix.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	require.NoError(t, unix.Mknod(filepath.Join(root, "device"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))) //nolint:gosec // small numbers
	listener, err := net.Listen("unix", filepath.Join(root, "socket"))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	b := dump(t, source(root), nil)
	require.Equal(t, []string{"file"}, paths(t, b))
	require.Equal(t, []string{"device: it is a device and not in the backup", "pipe: it is a named pipe and not in the backup", "socket: it is a socket and not in the backup"}, b.report.Warnings)
}

func TestLinksAreFollowedWhenAsked(t *testing.T) {
	place := t.TempDir()
	write(t, place, "elsewhere/file", "outside")
	root := filepath.Join(place, "source")
	write(t, root, "dir/file", "inside")
	for link, to := range map[string]string{"out": "../elsewhere", "loop": "..", "self": ".", "gone": "nowhere", "dir/file2": "file"} {
		require.NoError(t, os.Symlink(to, filepath.Join(root, link)))
	}
	src := source(root)
	src.Config.FollowSymlinks = true
	b := dump(t, src, nil)
	require.Subset(t, paths(t, b), []string{"dir/file", "dir/file2", "gone", "out/file"})
	require.Contains(t, strings.Join(b.report.Warnings, "\n"), "self: the symbolic link leads back")
	to := restoreTo(t, b, nil)
	require.Equal(t, "outside", read(t, filepath.Join(to, "out/file")))
	require.Equal(t, "inside", read(t, filepath.Join(to, "dir/file2")))
}

func TestOtherFileSystemsAreLeftOutWhenAsked(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	mount := filepath.Join(root, "mount")
	require.NoError(t, os.MkdirAll(mount, 0o700))
	require.NoError(t, unix.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(mount, 0)) })
	write(t, root, "mount/file", "x")
	src := source(root)
	require.Equal(t, []string{"mount", "mount/file"}, paths(t, dump(t, src, nil)))
	src.Config.OneFileSystem = true
	require.Equal(t, []string{"mount"}, paths(t, dump(t, src, nil)))
}

func TestFilesThatChangeWhileTheyAreReadKeepTheArchiveWhole(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	large := write(t, root, "b-large", random(1, 4<<20))
	write(t, root, "a-first", random(2, 2<<20))
	write(t, root, "c-gone", random(3, 2<<20))
	tick()
	var archive bytes.Buffer
	var index []byte
	report, err := files.New(files.Options{}).Dump(context.Background(), source(root), engine.DumpOptions{}, func(ctx context.Context, s engine.Stream, r io.Reader) error {
		flat := enginetest.Flat(ctx, r, nil)
		if s.Name != "files.tar" {
			var err error
			index, err = io.ReadAll(flat)
			return err
		}
		// Into the middle of the second file, and then it shrinks and the third one vanishes.
		if _, err := io.CopyN(&archive, flat, 2<<20+1<<20); err != nil {
			return err
		}
		require.NoError(t, os.Truncate(large, 2<<20))
		require.NoError(t, os.Remove(filepath.Join(root, "c-gone")))
		_, err := io.Copy(&archive, flat)
		return err
	})
	require.NoError(t, err)
	require.Len(t, report.Warnings, 2)
	require.Contains(t, report.Warnings[0], "b-large: it became shorter while it was read")
	require.Contains(t, report.Warnings[1], "c-gone: it vanished")
	b := &backup{Archive: enginetest.Archive{
		Stream: engine.Stream{Name: "files.tar", Format: "files-tar"}, Bytes: archive.Bytes(),
		Others: []enginetest.Archive{{Stream: engine.Stream{Name: "files.index", Format: "files-index-1"}, Bytes: index}},
	}}
	for _, to := range []string{untar(t, archive.Bytes()), restoreTo(t, b, nil)} {
		require.Equal(t, []string{"a-first", "b-large"}, list(t, to))
		got := read(t, filepath.Join(to, "b-large"))
		require.Len(t, got, 4<<20)
		require.Equal(t, random(1, 4<<20)[:2<<20], got[:2<<20])
	}
}

func TestWhatCanNotBeReadIsWarnedOfAndListed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test gives up rights, and needs to have them")
	}
	root := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.Mkdir(root, 0o755)) //nolint:gosec // others have to read it
	openTo(t, root)
	write(t, root, "open", "x")
	require.NoError(t, os.Chmod(write(t, root, "closed", "x"), 0))
	require.NoError(t, os.Chmod(filepath.Dir(write(t, root, "dir/in it", "x")), 0))
	b := asNobody(t, func() *backup { return dump(t, source(root), nil) })
	require.Equal(t, []string{"dir", "open"}, paths(t, b))
	require.Len(t, b.report.Warnings, 2)
	require.Contains(t, strings.Join(b.report.Warnings, "\n"), "closed: it could not be read")
	require.Contains(t, strings.Join(b.report.Warnings, "\n"), "dir/: the directory could not be read")

	require.NoError(t, os.Chmod(root, 0o700)) //nolint:gosec // the case
	asNobody(t, func() *backup {
		_, err := tryDump(context.Background(), source(root), nil)
		enginetest.RequireClass(t, failure.AuthFailed, err)
		return nil
	})
}

// asNobody does something with the rights of another user.
func asNobody(t *testing.T, do func() *backup) *backup {
	t.Helper()
	require.NoError(t, unix.Setresuid(-1, 65534, -1))
	defer func() { require.NoError(t, unix.Setresuid(-1, 0, -1)) }()
	return do()
}

// What vanished while it was read leaves an older version in a pack that stays. The next backup does not
// forget it.
func TestAnOlderVersionOfWhatVanishedDoesNotComeBack(t *testing.T) {
	root := filepath.Join(t.TempDir(), "source")
	for _, name := range []string{"a", "b", "c"} {
		write(t, root, name, random(uint64(name[0]), 500_000))
	}
	write(t, root, "0-large", random(1, 4<<20))
	full := dump(t, source(root), nil)
	write(t, root, "b", "changed")
	write(t, root, "0-large", random(2, 4<<20))
	tick()
	// As good as vanished: nothing tells when it is read, so its rights are taken.
	require.NoError(t, os.Chmod(filepath.Join(root, "b"), 0))
	openTo(t, root)
	next := asNobody(t, func() *backup { return dump(t, source(root), full) })
	require.Contains(t, strings.Join(next.report.Warnings, "\n"), "b: it could not be read")
	require.NoFileExists(t, filepath.Join(restoreTo(t, next, nil), "b"))
	require.NoError(t, os.Remove(filepath.Join(root, "b")))
	third := dump(t, source(root), next)
	require.Equal(t, []string{"0-large", "a", "c"}, list(t, untar(t, third.stream("files.tar"))))
	require.Equal(t, []string{"0-large", "a", "c"}, list(t, restoreTo(t, third, nil)))
}

func TestADumpThatMovesNothingIsATimeout(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "text")
	_, err := files.New(files.Options{}).Dump(enginetest.Context(t), source(dir), engine.DumpOptions{IdleTimeout: 200 * time.Millisecond}, func(ctx context.Context, _ engine.Stream, _ io.Reader) error {
		<-ctx.Done() // a storage location that takes nothing
		return ctx.Err()
	})
	enginetest.RequireClass(t, failure.Timeout, err)
	require.Contains(t, failure.HintOf(err), "idle_timeout_minutes")
}

func TestTheRootMayBeASymbolicLink(t *testing.T) {
	place := t.TempDir()
	write(t, place, "real/file", "x")
	require.NoError(t, os.Symlink("real", filepath.Join(place, "link")))
	require.Equal(t, []string{"file"}, paths(t, dump(t, source(filepath.Join(place, "link")), nil)))
}

// openTo lets everybody come to a directory.
func openTo(t *testing.T, directory string) {
	t.Helper()
	for at := directory; at != "/"; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && info.Mode().Perm()&0o5 == 0 {
			require.NoError(t, os.Chmod(at, info.Mode().Perm()|0o755)) //nolint:gosec // a test's own
		}
	}
}
