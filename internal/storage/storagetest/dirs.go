package storagetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// SmallDir returns a new directory on a file system of its own that takes maxBytes bytes. Only
// root may mount one: see Cannot.
func SmallDir(t *testing.T, maxBytes int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.FormatInt(maxBytes, 10)); err != nil {
		Cannot(t, "this machine does not let user %d mount a tmpfs: %v", os.Geteuid(), err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// ReadOnlyDir makes dir and everything in it unwritable for every user until the test ends: by their
// modes, and by the immutable attribute, because modes do not bind root.
func ReadOnlyDir(t *testing.T, dir string) {
	t.Helper()
	walk := func(protected bool) error {
		return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return setProtected(path, entry.IsDir(), protected)
		})
	}
	t.Cleanup(func() { require.NoError(t, walk(false)) })
	if err := walk(true); err != nil {
		_ = walk(false)
		Cannot(t, "this machine does not let user %d make a directory immutable: %v", os.Geteuid(), err)
	}
}

// immutable is FS_IMMUTABLE_FL of linux/fs.h.
const immutable = 0x10

func setProtected(path string, isDir, protected bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if os.Geteuid() == 0 { // first, because the mode of what is immutable can not be changed
		if err := setImmutable(file, false); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o600)
	if isDir {
		mode = 0o700
	}
	if protected {
		mode &^= 0o200
	}
	if err := file.Chmod(mode); err != nil || !protected || os.Geteuid() != 0 {
		return err
	}
	return setImmutable(file, true)
}

func setImmutable(file *os.File, on bool) error {
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	flags &^= immutable
	if on {
		flags |= immutable
	}
	return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

// Cannot ends a test that this machine lets nobody make. For root, as whom CI runs, that is a failure;
// for another user the test is skipped with the reason.
func Cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
