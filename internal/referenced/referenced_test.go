package referenced_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/posixlock"
	"github.com/dataguardian/dataguardian/internal/referenced"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// tree makes files, their content their own name, and what a database may wrongly point to.
func tree(t *testing.T) (base, other string) {
	t.Helper()
	base, other = filepath.Join(t.TempDir(), "uploads"), t.TempDir()
	for _, path := range []string{filepath.Join(base, "b.txt"), filepath.Join(base, "deep", "a.txt"), filepath.Join(other, "secret.txt")} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(filepath.Base(path)), 0o640))
		require.NoError(t, os.Chtimes(path, time.Unix(1e9, 5), time.Unix(1e9, 5)))
	}
	require.NoError(t, os.Symlink("deep/a.txt", filepath.Join(base, "inside")))
	require.NoError(t, os.Symlink(filepath.Join(other, "secret.txt"), filepath.Join(base, "outside")))
	require.NoError(t, os.Symlink(other, filepath.Join(base, "out")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(base, "pipe"), 0o600))
	return base, other
}

func write(t *testing.T, policy domain.MissingFilePolicy, bases []string, paths ...string) ([]byte, referenced.Report, error) {
	t.Helper()
	return writeFrom(t, domain.ReferencedFiles{}, policy, bases, paths...)
}

// writeFrom writes files from where options say.
func writeFrom(t *testing.T, options domain.ReferencedFiles, policy domain.MissingFilePolicy, bases []string, paths ...string) ([]byte, referenced.Report, error) {
	t.Helper()
	set := referenced.NewPaths(100)
	for _, path := range paths {
		require.NoError(t, set.Add(path))
	}
	var out bytes.Buffer
	options.BaseDirectories, options.MissingFilePolicy = bases, policy
	report, err := referenced.Write(t.Context(), options, set, &out)
	return out.Bytes(), report, err
}

func TestFilesAreStoredOnceInOrderAndRestored(t *testing.T) {
	base, _ := tree(t)
	archive, report, err := write(t, domain.MissingFail, []string{base}, filepath.Join(base, "deep", "a.txt"), "b.txt", filepath.Join(base, "b.txt"), "", "deep/../b.txt", "inside")
	require.NoError(t, err)
	require.Equal(t, referenced.Report{Files: 3, Bytes: int64(len("a.txt") + len("b.txt") + len("a.txt"))}, report)
	for _, name := range []string{"b.txt", "deep/a.txt"} { // it was read since
		require.NoError(t, os.Chtimes(filepath.Join(base, name), time.Now(), time.Unix(1e9, 5)))
	}
	again, _, err := write(t, domain.MissingFail, []string{base}, "inside", "b.txt", filepath.Join(base, "b.txt"), "deep/a.txt")
	require.NoError(t, err)
	require.True(t, bytes.Equal(archive, again), "what did not change is the same to the byte")
	files, err := referenced.Inspect(bytes.NewReader(again))
	require.NoError(t, err)
	require.Equal(t, 3, files)

	dir := filepath.Join(t.TempDir(), "restored")
	for range 2 { // the second is a retry
		_, err = referenced.Extract(bytes.NewReader(archive), dir, "abc")
		require.NoError(t, err)
	}
	at := filepath.Join(dir, base, "deep", "a.txt")
	content, err := os.ReadFile(at)
	require.NoError(t, err)
	require.Equal(t, "a.txt", string(content))
	info, err := os.Stat(at)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
	require.True(t, info.ModTime().Equal(time.Unix(1e9, 5)))
	_, err = referenced.Extract(bytes.NewReader(archive), dir, "another")
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
}

func TestWhatIsNoFileBelowABaseDirectoryIsNotRead(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	for place, options := range map[string]domain.ReferencedFiles{"on the worker": {}, "on an SSH server": overSSH(server)} {
		t.Run(place, func(t *testing.T) { requireNothingElseRead(t, options) })
	}
}

func requireNothingElseRead(t *testing.T, options domain.ReferencedFiles) {
	t.Helper()
	base, other := tree(t)
	for name, path := range map[string]string{
		"a file elsewhere":                      filepath.Join(other, "secret.txt"),
		"a path that climbs out":                "../../" + filepath.Base(other) + "/secret.txt",
		"an absolute path that climbs out":      base + "/../" + filepath.Base(other) + "/secret.txt",
		"a link that leads outside":             filepath.Join(base, "outside"),
		"a directory link that leads outside":   filepath.Join(base, "out", "secret.txt"),
		"a directory":                           filepath.Join(base, "deep"),
		"the base directory":                    base,
		"a pipe":                                filepath.Join(base, "pipe"),
		"a file that has vanished":              filepath.Join(base, "gone"),
		"a directory whose name only begins so": base + "-more/secret.txt",
		"a NUL":                                 base + "/b.txt\x00",
	} {
		t.Run(name, func(t *testing.T) {
			archive, report, err := writeFrom(t, options, domain.MissingWarn, []string{base}, path, "b.txt")
			require.NoError(t, err)
			require.Equal(t, 1, report.Files)
			require.Len(t, report.Warnings, 1)
			require.NotContains(t, string(archive), "secret")
			_, _, err = writeFrom(t, options, domain.MissingFail, []string{base}, path, "b.txt")
			require.Equal(t, failure.NotFound, failure.ClassOf(err), "%v", err)
			require.NotEmpty(t, failure.HintOf(err))
		})
	}
}

func TestTooManyPathsAreRefused(t *testing.T) {
	paths := referenced.NewPaths(2)
	for _, path := range []string{"a", "b", "a", ""} {
		require.NoError(t, paths.Add(path))
	}
	err := paths.Add("c")
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.ErrorContains(t, err, "max_files")
}

func TestABaseDirectoryThatIsNotThereFails(t *testing.T) {
	_, _, err := write(t, domain.MissingWarn, []string{"/no/such/directory"}, "a")
	require.Equal(t, failure.NotFound, failure.ClassOf(err), "%v", err)
}

func TestManyMissingFilesAreCounted(t *testing.T) {
	base, _ := tree(t)
	var paths []string
	for i := range 30 {
		paths = append(paths, strings.Repeat("x", i+1))
	}
	_, report, err := write(t, domain.MissingWarn, []string{base}, paths...)
	require.NoError(t, err)
	require.Len(t, report.Warnings, 21)
	require.Contains(t, report.Warnings[20], "10 more")
}

func TestAnArchiveThatNoBackupWritesRestoresNothing(t *testing.T) {
	for name, header := range map[string]tar.Header{
		"a path that climbs out": {Name: "../evil", Typeflag: tar.TypeReg},
		"an absolute path":       {Name: "/evil", Typeflag: tar.TypeReg},
		"a link":                 {Name: "evil", Linkname: "/etc", Typeflag: tar.TypeSymlink},
		"a path through a dot":   {Name: "a/../evil", Typeflag: tar.TypeReg},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			archive := tar.NewWriter(&out)
			require.NoError(t, archive.WriteHeader(&header))
			require.NoError(t, archive.Close())
			parent := t.TempDir()
			_, err := referenced.Extract(bytes.NewReader(out.Bytes()), filepath.Join(parent, "restored"), "abc")
			require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
			entries, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Empty(t, entries)
			_, err = referenced.Inspect(bytes.NewReader(out.Bytes()))
			require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
		})
	}
}

func TestADamagedArchiveRestoresNothing(t *testing.T) {
	base, _ := tree(t)
	archive, _, err := write(t, domain.MissingFail, []string{base}, "b.txt", "deep/a.txt")
	require.NoError(t, err)
	chunk := failure.New(failure.Corrupt, "read chunk", "wrong checksum", "")
	parent := t.TempDir()
	for name, r := range map[string]io.Reader{
		"cut":       bytes.NewReader(archive[:len(archive)/2+300]),
		"bad chunk": io.MultiReader(bytes.NewReader(archive[:1600]), failing{chunk}),
	} {
		_, err := referenced.Extract(r, filepath.Join(parent, "restored"), "abc")
		require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%s: %v", name, err)
		entries, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Empty(t, entries, name)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAWriterThatIsStoppedEnds(t *testing.T) {
	base, _ := tree(t)
	set := referenced.NewPaths(10)
	require.NoError(t, set.Add("b.txt"))
	stop := errors.New("stop")
	_, err := referenced.Write(t.Context(), domain.ReferencedFiles{BaseDirectories: []string{base}}, set, stopped{stop})
	require.ErrorIs(t, err, stop)
}

type stopped struct{ err error }

func (s stopped) Write([]byte) (int, error) { return 0, s.err }

// TestReadingADatabaseThatSQLiteHasOpenKeepsItsLocks: they are the process's, and closing any descriptor would end them.
func TestReadingADatabaseThatSQLiteHasOpenKeepsItsLocks(t *testing.T) {
	base, _ := tree(t)
	path := filepath.Join(base, "b.txt")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	probe, err := os.Open(path)
	require.NoError(t, err)
	defer probe.Close()
	database := posixlock.Keep(path)
	defer database.Release()
	require.NoError(t, unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	_, _, err = write(t, domain.MissingFail, []string{base}, "b.txt")
	require.NoError(t, err)
	asked := unix.Flock_t{Type: unix.F_WRLCK}
	require.NoError(t, unix.FcntlFlock(probe.Fd(), unix.F_OFD_GETLK, &asked))
	require.EqualValues(t, unix.F_WRLCK, asked.Type, "the lock is there")
}
