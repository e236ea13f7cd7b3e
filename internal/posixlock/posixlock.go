// Package posixlock keeps the POSIX locks that SQLite holds in this process. Such locks belong to the process: closing any
// descriptor of a file ends all that the process has on it, whoever took them. SQLite heeds that for its own descriptors; this
// package does it for those of others. Whoever opens SQLite calls Keep first, and whoever opens files that may be
// anybody's closes them with Close, which waits with a file that SQLite has open until it has it no more.
package posixlock

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// id is a file, whatever paths lead to it.
type id struct{ device, inode uint64 }

func idOf(st *unix.Stat_t) id { return id{uint64(st.Dev), st.Ino} } //nolint:unconvert // Dev has another type elsewhere

// Database is one that SQLite is about to open, or has open.
type Database struct {
	path string
	file id
	shm  string // has locks as well, in WAL mode
}

// delayed is a file that is closed later.
type delayed struct {
	file  id
	close func() error
}

var (
	// mu keeps a file from being closed between Keep and the first lock: Close holds it while it closes.
	mu      sync.RWMutex
	kept    = map[*Database]struct{}{}
	waiting []delayed
)

// Keep says that SQLite is going to open the database at path. A path that leads nowhere keeps nothing. Call Release
// when SQLite has closed it.
func Keep(path string) *Database {
	d := &Database{path: path}
	if target, err := filepath.EvalSymlinks(path); err == nil { // SQLite puts the file beside what a link points to
		d.shm = target + "-shm"
	}
	d.file, _ = look(path)
	mu.Lock()
	defer mu.Unlock()
	kept[d] = struct{}{}
	return d
}

// Moved reports whether another file has the path since Keep: SQLite may have opened that one.
func (d *Database) Moved() bool {
	now, there := look(d.path)
	return there && now != d.file
}

// Release says that SQLite has closed the database. The files that waited for it are closed, but for those that another
// Database has open.
func (d *Database) Release() {
	mu.Lock()
	defer mu.Unlock()
	delete(kept, d)
	var still []delayed
	for _, w := range waiting {
		if isKept(w.file) {
			still = append(still, w)
		} else {
			_ = w.close() // it was only read
		}
	}
	waiting = still
}

// Close closes a file that was read, by its descriptor and what closes it: now, or when SQLite has closed it. The
// error of a file that waits is lost.
func Close(fd int, closeFile func() error) error {
	mu.RLock()
	if len(kept) == 0 {
		defer mu.RUnlock()
		return closeFile()
	}
	mu.RUnlock()
	mu.Lock()
	defer mu.Unlock()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return errors.Join(err, closeFile())
	}
	if !isKept(idOf(&st)) {
		return closeFile()
	}
	waiting = append(waiting, delayed{idOf(&st), closeFile})
	return nil
}

// CloseFile is Close of an os.File.
func CloseFile(file *os.File) error { return Close(int(file.Fd()), file.Close) }

// CloseDescriptor is Close of a bare descriptor.
func CloseDescriptor(fd int) error { return Close(fd, func() error { return unix.Close(fd) }) }

// isKept reports whether SQLite has locks on the file, or may take some. Of the -shm, which comes and goes with the
// connections, it is the one that is there: while SQLite has one open, nobody removes it.
func isKept(file id) bool {
	for d := range kept {
		if d.file == file {
			return true
		}
		if shm, there := look(d.shm); there && shm == file {
			return true
		}
	}
	return false
}

func look(path string) (id, bool) {
	var st unix.Stat_t
	if path == "" || unix.Stat(path, &st) != nil {
		return id{}, false
	}
	return idOf(&st), true
}
