package sqlite

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// holder keeps everybody else out of a database: its exclusive lock is held by a connection that has
// written nothing, so that closing it removes no file.
type holder struct {
	*connection
	objects int
	wasWAL  bool
	path    string
}

// hold takes the database for itself. A database in WAL mode gets its WAL's content written into the file first and
// leaves the mode, which SQLite only does when no other connection is open: an application that has it open
// is found even if it is idle. In the other modes an idle application has no lock that could be seen; when
// the file is replaced, SQLite gives its next write the error READONLY_DBMOVED.
func (p place) hold(ctx context.Context, limit time.Duration) (*holder, error) {
	h := &holder{path: p.target}
	if err := h.leaveWAL(ctx, limit); err != nil {
		return nil, inUse(err)
	}
	db, err := open(ctx, p.target, writable)
	if err != nil {
		return nil, errors.Join(err, h.enterWAL(ctx))
	}
	h.connection = db
	err = whileLocked(ctx, limit, func() error {
		_, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE")
		return err
	})
	if err == nil {
		err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&h.objects)
	}
	if err == nil {
		var mode string
		if mode, err = db.journalMode(ctx); err == nil && mode == walMode {
			err = errOpened
		}
	}
	if err != nil {
		return nil, errors.Join(inUse(err), h.close())
	}
	return h, nil
}

const walMode = "wal"

var errOpened = failure.New(failure.ConfigInvalid, "take the database", "somebody opened it meanwhile", useHint)

const useHint = "Stop the applications that use the database, restore, and start them again."

func inUse(err error) error {
	if isLocked(err) {
		return failure.Wrap(failure.ConfigInvalid, "take the database for the restore: it is in use", err, useHint)
	}
	return err
}

func (h *holder) leaveWAL(ctx context.Context, limit time.Duration) error {
	db, err := open(ctx, h.path, writable)
	if err != nil {
		return err
	}
	err = whileLocked(ctx, limit, func() error {
		mode, err := db.journalMode(ctx)
		if err != nil || mode != walMode {
			return err
		}
		h.wasWAL = true
		_, err = db.ExecContext(ctx, "PRAGMA journal_mode = DELETE")
		if err == nil {
			if mode, err = db.journalMode(ctx); err == nil && mode == walMode {
				err = errOpened
			}
		}
		return err
	})
	return errors.Join(err, db.close())
}

// enterWAL gives a database that was not replaced its mode back.
func (h *holder) enterWAL(ctx context.Context) error {
	if !h.wasWAL {
		return nil
	}
	db, err := open(context.WithoutCancel(ctx), h.path, writable)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.WithoutCancel(ctx), "PRAGMA journal_mode = WAL")
	return errors.Join(err, db.close())
}

// close lets others in again.
func (h *holder) close() error {
	err := h.release()
	if isLocked(err) { // somebody was faster; the mode is theirs to choose
		return nil
	}
	return err
}

func (h *holder) release() error {
	_, err := h.ExecContext(context.Background(), "ROLLBACK")
	if err != nil && codeOf(err) == 1 { // there was no transaction
		err = nil
	}
	return errors.Join(err, h.connection.close(), h.enterWAL(context.Background()))
}

// replaced lets the old file go, which has no name any more.
func (h *holder) replaced() error {
	h.wasWAL = false
	return h.close()
}

// clearSides removes what SQLite left beside a database that is held: with the lock taken, an interrupted
// transaction is rolled back and the WAL is empty, so that nothing in these files is needed.
func (h *holder) clearSides() error {
	for _, path := range sides(h.path) {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
