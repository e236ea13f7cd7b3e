package posixlock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/posixlock"
)

// lockedFile is a file with a POSIX lock of this process on it, as SQLite takes them.
type lockedFile struct {
	path  string
	probe *os.File
}

func newLockedFile(t *testing.T, path string) lockedFile {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	probe, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()); require.NoError(t, probe.Close()) })
	require.NoError(t, unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	return lockedFile{path, probe}
}

// isLocked asks as the owner of an open file description, whom a lock of the process keeps out.
func (f lockedFile) isLocked(t *testing.T) bool {
	t.Helper()
	asked := unix.Flock_t{Type: unix.F_WRLCK}
	require.NoError(t, unix.FcntlFlock(f.probe.Fd(), unix.F_OFD_GETLK, &asked))
	return asked.Type != unix.F_UNLCK
}

// read opens and closes a file, as a backup of files does.
func read(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, posixlock.CloseFile(file))
	return file
}

func isOpen(file *os.File) bool {
	_, err := file.Stat()
	return err == nil
}

func TestLocksOfADatabaseThatSQLiteHasOpenOutlastReadingIt(t *testing.T) {
	dir := t.TempDir()
	locked := newLockedFile(t, filepath.Join(dir, "app.db"))
	link := filepath.Join(dir, "link.db")
	require.NoError(t, os.Symlink(locked.path, link))
	hard := filepath.Join(dir, "hard")
	require.NoError(t, os.Link(locked.path, hard))
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, nil, 0o600))

	first, second := posixlock.Keep(link), posixlock.Keep(locked.path)
	shm := newLockedFile(t, locked.path+"-shm") // it is made later
	var opened []*os.File
	for _, path := range []string{locked.path, link, hard, shm.path} {
		opened = append(opened, read(t, path))
		require.True(t, locked.isLocked(t), path)
		require.True(t, shm.isLocked(t), path)
	}
	require.False(t, isOpen(read(t, other)), "no other file waits")
	first.Release()
	require.True(t, locked.isLocked(t), "the second one has it open")
	for _, file := range opened {
		require.True(t, isOpen(file))
	}
	second.Release()
	for _, file := range opened {
		require.False(t, isOpen(file))
	}
	require.False(t, isOpen(read(t, locked.path)))
	require.False(t, locked.isLocked(t), "which is why all of this is needed")
}

func TestADatabaseWhoseNameAnotherFileTookIsMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	locked := newLockedFile(t, path)
	database := posixlock.Keep(path)
	defer database.Release()
	require.False(t, database.Moved())
	require.NoError(t, os.Rename(path, path+".old"))
	require.False(t, database.Moved(), "SQLite opened what was there, or nothing")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.True(t, database.Moved())
	read(t, path+".old")
	require.True(t, locked.isLocked(t), "what was there stays kept")
}
