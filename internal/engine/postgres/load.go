package postgres

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// batch is data that one job loads, one table after the other.
type batch struct {
	size      int64 // bytes
	only      entry // whose data it is, unless it is that of several
	feed      func(ctx context.Context, to receiver) error
	followers []entry // what is defined as soon as it is loaded
}

// receiver takes the data of a batch. What it is given to read it reads to its end.
type receiver interface {
	table(ctx context.Context, e entry, data io.Reader) error
	largeObjects(ctx context.Context, each func(put func(oid uint32, content io.Reader) error) error) error
}

// batchBytes is how much data of small tables makes a batch.
const batchBytes = 64 << 20

// loadData loads all batches, so many at the same time as there are jobs, and what follows a table as soon as
// that is loaded. The first error ends it.
func (s *staging) loadData(ctx context.Context, toc contents, batches []batch) error {
	if len(batches) == 0 {
		return nil
	}
	tasks := newSchedule()
	for _, b := range batches {
		tasks.add(&task{size: b.size, loads: true, do: func(ctx context.Context, j *job) error {
			if err := b.feed(ctx, j); err != nil {
				return err
			}
			j.follow(b)
			return nil
		}})
	}
	group, ctx := errgroup.WithContext(ctx)
	for range max(1, s.req.Jobs) {
		group.Go(func() error { return s.work(ctx, toc, tasks) })
	}
	return group.Wait()
}

// job loads over one connection.
type job struct {
	s     *staging
	conn  *pgx.Conn
	toc   contents
	tasks *schedule
}

// work is one job.
func (s *staging) work(ctx context.Context, toc contents, tasks *schedule) error {
	conn, err := connect(ctx, s.target, s.names.staging)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if err := s.beginSession(ctx, conn, toc); err != nil {
		return err
	}
	return tasks.run(ctx, &job{s: s, conn: conn, toc: toc, tasks: tasks})
}

// beginSession gives the connection the settings that pg_restore gives its own
// (pg_backup_archiver.c, _doSetFixedOutputState).
func (s *staging) beginSession(ctx context.Context, conn *pgx.Conn, toc contents) error {
	statements := append([]string{
		"SET statement_timeout = 0", "SET lock_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
		"SET xmloption = content", "SET client_min_messages = warning", "SET row_security = off",
		"SET default_tablespace = ''",
	}, toc.session...)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return classify("prepare to load into database "+quoted(s.names.staging), err)
		}
	}
	return nil
}

// table loads the data of one table as pg_restore does. A table that this restore has made is
// emptied in the same transaction, which lets its rows be stored as frozen: nothing has to mark them as
// visible or freeze them later. Nobody else can see this database, so that is nobody's surprise.
func (j *job) table(ctx context.Context, e entry, data io.Reader) error {
	from := &sourceError{r: data}
	statement, frozen := e.copyStatement(j.toc.tables[e.table()])
	load := func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "TRUNCATE TABLE ONLY "+pgx.Identifier{e.namespace, e.tag}.Sanitize()); err != nil {
			return err
		}
		_, err := tx.Conn().PgConn().CopyFrom(ctx, from, statement)
		return err
	}
	var err error
	if frozen {
		err = pgx.BeginFunc(ctx, j.conn, load)
	} else {
		_, err = j.conn.PgConn().CopyFrom(ctx, from, statement)
	}
	if ended, _ := from.state(); err == nil && !ended {
		err = errors.New("the server did not read all of it")
	}
	return j.outcome(ctx, "load table "+quoted(e.tag), from, err)
}

// largeObjects writes large objects, which pg_restore has made, in one transaction.
func (j *job) largeObjects(ctx context.Context, each func(put func(oid uint32, content io.Reader) error) error) error {
	from := &sourceError{}
	err := pgx.BeginFunc(ctx, j.conn, func(tx pgx.Tx) error {
		objects := tx.LargeObjects()
		return each(func(oid uint32, content io.Reader) error {
			object, err := objects.Open(ctx, oid, pgx.LargeObjectModeWrite)
			if err != nil {
				return err
			}
			from.r = content
			_, err = io.CopyBuffer(struct{ io.Writer }{object}, struct{ io.Reader }{from}, make([]byte, blockBuffer))
			return errors.Join(err, object.Close())
		})
	})
	return j.outcome(ctx, "load large objects", from, err)
}

// outcome is the source's error before all others, then that of the context.
func (j *job) outcome(ctx context.Context, op string, from *sourceError, err error) error {
	_, sourceErr := from.state()
	switch {
	case sourceErr != nil:
		return sourceErr
	case err == nil:
		return nil
	}
	return j.failed(ctx, op, err)
}

// failed is the error of the context before that of the server.
func (j *job) failed(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
	}
	return classify(op+" in database "+quoted(j.s.names.staging), err)
}

const copyEnd = " FROM stdin;\n"

// copyStatement is the statement that loads the data, and whether it wants the table to be made or
// emptied in its transaction. Not so for the data of a table that an extension made, or that is loaded
// through another table.
func (e entry) copyStatement(made bool) (statement string, frozen bool) {
	begin, known := strings.CutSuffix(e.copyInto, copyEnd)
	if !known || !made || !namesTable(begin, e.namespace, e.tag) {
		return e.copyInto, false
	}
	return begin + " FROM stdin WITH (FREEZE)", true
}

// namesTable reports whether a COPY statement is for that very table. pg_dump quotes where it must.
func namesTable(statement, namespace, table string) bool {
	rest, ok := strings.CutPrefix(statement, "COPY ")
	if !ok {
		return false
	}
	for _, n := range []string{namespace, quoted(namespace)} {
		for _, t := range []string{table, quoted(table)} {
			if after, ok := strings.CutPrefix(rest, n+"."+t); ok && (after == "" || strings.HasPrefix(after, " ")) {
				return true
			}
		}
	}
	return false
}

// sourceError remembers that it was the source that failed, and whether it came to its end. A COPY whose
// connection breaks returns while its reader may still be reading, so what it remembers is locked; closing
// the source ends that read.
type sourceError struct {
	r io.Reader

	mu    sync.Mutex
	err   error
	ended bool
}

// state is what became of the source so far.
func (s *sourceError) state() (ended bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended, s.err
}

func (s *sourceError) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, io.EOF):
		s.ended = true
	case err != nil:
		s.err = err
	}
	return n, err
}
