package sqlite

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// codeOf is SQLite's primary result code, or 0. The rest of an extended code says which system call it was.
func codeOf(err error) int {
	var known *sqlite.Error
	if !errors.As(err, &known) {
		return 0
	}
	return known.Code() & 0xff
}

func isLocked(err error) bool {
	code := codeOf(err)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// isDamaged reports whether SQLite found something that is no database, or a broken one.
func isDamaged(err error) bool {
	code := codeOf(err)
	return code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT
}

// classify names what was tried. What is classified already keeps its class.
func classify(op string, err error) error {
	var known *failure.Error
	if err == nil || errors.As(err, &known) {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	class, hint := classOf(err)
	return failure.Wrap(class, op, err, hint)
}

func classOf(err error) (failure.Class, string) {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure.ClassOf(err), ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.StorageFull, "Free space on the worker's disk."
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return failure.ConfigInvalid, "Run the worker as a user who may read and write there, or as root."
	}
	switch codeOf(err) {
	case sqlite3.SQLITE_NOTADB:
		return failure.ConfigInvalid, "The file is not a SQLite database, its beginning was overwritten, or it is encrypted (SQLCipher, SEE), which this version can not read."
	case sqlite3.SQLITE_CORRUPT:
		return failure.Corrupt, "The database itself is damaged: restore a backup, or save what sqlite3's .recover can read. Older backups are not touched."
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return failure.Timeout, "Somebody keeps the database locked: end the transaction that does, or try again when it has ended."
	case sqlite3.SQLITE_FULL:
		return failure.StorageFull, "Free space on the worker's disk."
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return failure.ConfigInvalid, "The worker's user may need to write in the database's folder: SQLite keeps files beside a database in WAL mode, and rolls back there " +
			"what a killed program left. Run the worker as the database's owner or as root, and open the database once with its application after a crash."
	case sqlite3.SQLITE_IOERR:
		return failure.Unknown, "The disk reported an error; look at the system's log."
	}
	return failure.Unknown, ""
}

// lacksRoom is the error of a directory with too little space.
func lacksRoom(dir string, needed, free int64) error {
	return failure.New(failure.StorageFull, "look for space in "+dir, fmt.Sprintf("it needs %d bytes, of which %d are free", needed, free),
		"Free space there; backups and verifications use the worker's TMPDIR, which may be set to another disk.")
}
