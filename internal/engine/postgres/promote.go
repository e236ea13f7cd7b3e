package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// swapAttempts bounds how often sessions that keep coming back are fought; the server itself
	// waits five seconds for them in each.
	swapAttempts = 4
	// evictEvery is how often sessions are ended while the server waits.
	evictEvery = 100 * time.Millisecond
	// reconnectAttempts bounds how often a lost connection is made again to drop the old database.
	reconnectAttempts = 3
)

// Promote renames the target to its old name and the staging to the target's in one transaction,
// and drops the old one after the commit. No step before the commit changes anything that a crash
// would leave behind; connections are kept out by the lock that the rename holds, not by a flag.
// After a crash the names and the mark tell what is left to do. After the commit the restore has
// succeeded: an old database that can not be dropped is a warning, unless the context has ended. So is one
// that was replaced because it was empty, and then turns out not to be: it is kept.
func (e *Engine) Promote(ctx context.Context, target engine.Source, req engine.StageRequest) (warnings []string, err error) {
	names, err := promote(ctx, target, req)
	if err != nil {
		return nil, err
	}
	err = dropReplaced(ctx, target, names, req)
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, errFilledMeanwhile):
		return []string{fmt.Sprintf("database %s holds the restored data. It was empty when the restore looked, and something was put into it before it was replaced: that is kept as database %s. Look at it, and drop it by hand when nothing needs it",
			quoted(names.target), quoted(names.old))}, nil
	case ctx.Err() != nil: // the worker stops, for example: another attempt goes on here
		return nil, failure.Wrap(failure.ClassOf(ctx.Err()), "drop database "+quoted(names.old), ctx.Err(), "")
	}
	return []string{fmt.Sprintf("database %s holds the restored data, but what it replaced may still be there as database %s: drop it by hand when nothing uses it any more. The reason: %s",
		quoted(names.target), quoted(names.old), failure.Message(err))}, nil
}

// promote does all up to the commit.
func promote(ctx context.Context, target engine.Source, req engine.StageRequest) (restoreNames, error) {
	if req.Scratch {
		return restoreNames{}, failure.New(failure.ConfigInvalid, "promote a restore", "it is a verification, which replaces nothing", "")
	}
	names, err := namesOf(req)
	if err != nil {
		return names, err
	}
	server, err := maintenance(ctx, target, names.target)
	if err != nil {
		return names, err
	}
	defer server.close()
	staging, err := server.find(ctx, names.staging)
	if err != nil {
		return names, err
	}
	existing, err := server.find(ctx, names.target)
	if err != nil {
		return names, err
	}
	if staging == nil {
		if existing == nil || !hasMark(existing.Comment, req.Token) {
			return names, failure.New(failure.NotFound, "promote database "+quoted(names.staging),
				fmt.Sprintf("it does not exist, and %s is not the result of this restore", quoted(names.target)), "Run the restore again.")
		}
		return names, nil // an earlier attempt got as far as the commit
	}
	if !hasMark(staging.Comment, req.Token) {
		return names, failure.New(failure.Corrupt, "promote database "+quoted(names.staging), "it was not loaded to the end", "Run the restore again.")
	}
	return names, server.swap(ctx, names, existing, req)
}

// dropReplaced drops the old database, which nothing needs any more. It connects anew, in case that
// was the trouble, but does not ask a server again that gave its answer: drop itself tries a
// database that is in use some times.
func dropReplaced(ctx context.Context, target engine.Source, names restoreNames, req engine.StageRequest) (err error) {
	for attempt := 1; attempt <= reconnectAttempts; attempt++ {
		if err = connectAndDrop(ctx, target, names, req); err == nil || errors.Is(err, errFilledMeanwhile) {
			return err
		}
		if sqlState(err) != "" || failure.IsPermanent(failure.ClassOf(err)) || pause(ctx, time.Second) != nil {
			break
		}
	}
	return err
}

// errFilledMeanwhile is an old database that the caller may not drop: only an empty one was to be replaced, and
// a session that could not be kept out put something into it between the last look and the rename.
var errFilledMeanwhile = errors.New("the replaced database is not empty")

func connectAndDrop(ctx context.Context, target engine.Source, names restoreNames, req engine.StageRequest) error {
	server, err := maintenance(ctx, target, names.target)
	if err != nil {
		return err
	}
	defer server.close()
	if !req.MayReplace() {
		old, err := server.find(ctx, names.old)
		if err != nil || old == nil {
			return err
		}
		empty, err := server.isEmpty(ctx, names.old)
		if err != nil {
			return err
		}
		if !empty {
			return errFilledMeanwhile
		}
	}
	return server.drop(ctx, names.old)
}

// swap tries the transaction until no session is in its way. What is in the target may have changed since
// CheckTarget, and while the server waited: it is looked at before each try.
func (a *admin) swap(ctx context.Context, names restoreNames, existing *database, req engine.StageRequest) error {
	for attempt := 1; ; attempt++ {
		if err := a.checkReplaceable(ctx, names, req); err != nil {
			return err
		}
		stop, err := a.evict(ctx, names.target, names.staging)
		if err != nil {
			return err
		}
		err = a.rename(ctx, names, existing, req)
		stop()
		if err == nil {
			return nil
		}
		if state := sqlState(err); (state != "55006" && state != "55P03") || attempt == swapAttempts {
			return err
		}
	}
}

// rename is the transaction.
func (a *admin) rename(ctx context.Context, names restoreNames, existing *database, req engine.StageRequest) error {
	op := fmt.Sprintf("give database %s its restored content", quoted(names.target))
	tx, err := a.Begin(ctx)
	if err != nil {
		return classify(op, err)
	}
	defer func() {
		ctx, cancel := detached(ctx)
		defer cancel()
		_ = tx.Rollback(ctx) // after a commit it does nothing
	}()
	statements := []string{"SET LOCAL lock_timeout = '20s'"}
	comment := ""
	// A caller that finishes somebody's restore may not have the streams.
	if stream, err := mainStream(req.Streams); err == nil {
		comment = stream.Properties[propComment]
	}
	if existing != nil {
		comment = existing.Comment
		statements = append(statements, "ALTER DATABASE "+quoted(names.target)+" RENAME TO "+quoted(names.old))
	}
	statements = append(statements,
		"ALTER DATABASE "+quoted(names.staging)+" RENAME TO "+quoted(names.target),
		"COMMENT ON DATABASE "+quoted(names.target)+" IS "+literal(withMark(comment, req.Token)))
	if req.Private && (existing == nil || !existing.HasACL) {
		statements = append(statements, letIn(names.target))
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return classify(op, err)
		}
	}
	if existing != nil {
		if err := carryOver(ctx, tx, names.target, existing, names.old); err != nil {
			return err
		}
	}
	return classify(op, tx.Commit(ctx))
}

// evict keeps ending the sessions in the databases, from a connection of its own, until stop is
// called. The rename waits for them to go while its lock lets no new one in, so that even clients
// that reconnect at once lose the race.
func (a *admin) evict(ctx context.Context, databases ...string) (stop func(), err error) {
	evictor, err := maintenance(ctx, a.src, databases[0])
	if err != nil {
		return nil, err
	}
	evictor.terminate(ctx, databases...)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer evictor.close()
		for pause(ctx, evictEvery) == nil {
			evictor.terminate(ctx, databases...)
		}
	}()
	return func() { cancel(); <-ended }, nil
}

// Discard drops the staging database with every session in it. It never touches the target, nor
// what a promoted restore replaced.
func (e *Engine) Discard(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	server, err := maintenance(ctx, target, names.target)
	if err != nil {
		return err
	}
	defer server.close()
	return server.drop(ctx, names.staging)
}
