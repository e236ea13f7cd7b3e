package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Promote renames the target to its old name and the staging to the target's, and drops the old one.
// SQL Server renames databases in no transaction: a crash between the two leaves no database of the
// target's name until Promote is called again, or Discard, which gives the old one its name back. The
// names and the files of the databases tell how far an earlier attempt got.
//
// For the rename the target is in single-user mode. How it was before stands in a file in the shared
// directory until it is out of that mode again, so that a later call knows what a killed one left.
func (e *Engine) Promote(ctx context.Context, target engine.Source, req engine.StageRequest) (warnings []string, err error) {
	if req.Scratch {
		return nil, failure.New(failure.ConfigInvalid, "promote a restore", "it is a verification, which replaces nothing", "")
	}
	p, err := e.newPromotion(ctx, target, req)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := p.swap(ctx); err != nil {
		return nil, err
	}
	p.forgetAccess()
	err = p.server.drop(ctx, p.names.old, p.names)
	switch {
	case err == nil:
		return nil, nil
	case ctx.Err() != nil: // the worker stops, for example: another attempt goes on here
		return nil, failure.Wrap(failure.ClassOf(ctx.Err()), "drop database "+quoted(p.names.old), ctx.Err(), "")
	}
	return []string{fmt.Sprintf("database %s holds the restored data, but what it replaced may still be there as database %s: drop it by hand when nothing uses it any more. The reason: %s",
		quoted(p.names.target), quoted(p.names.old), failure.Message(err))}, nil
}

// Discard drops the staging database. A target that an interrupted Promote left without its name, or in
// single-user mode, is put back; otherwise it is not touched, nor what a promoted restore replaced.
func (e *Engine) Discard(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	p, err := e.newPromotion(ctx, target, req)
	if err != nil {
		return err
	}
	defer p.close()
	if !req.Scratch {
		if err := p.putBack(ctx); err != nil {
			return err
		}
	}
	return p.server.drop(ctx, p.names.staging, p.names)
}

// promotion is one run of Promote or Discard.
type promotion struct {
	server *admin
	dir    *directory
	names  restoreNames
	req    engine.StageRequest
}

func (e *Engine) newPromotion(ctx context.Context, target engine.Source, req engine.StageRequest) (*promotion, error) {
	names, err := namesOf(req)
	if err != nil {
		return nil, err
	}
	dir, err := e.openDirectory(target.Config)
	if err != nil {
		return nil, err
	}
	server, err := maintenance(ctx, target)
	if err != nil {
		dir.close()
		return nil, err
	}
	return &promotion{server: server, dir: dir, names: names, req: req}, nil
}

func (p *promotion) close() {
	p.server.close()
	p.dir.close()
}

// databases looks the three databases up.
func (p *promotion) databases(ctx context.Context) (staging, target, old *database, err error) {
	if staging, err = p.server.find(ctx, p.names.staging, p.names); err == nil {
		if target, err = p.server.find(ctx, p.names.target, p.names); err == nil {
			old, err = p.server.find(ctx, p.names.old, p.names)
		}
	}
	return staging, target, old, err
}

// swap does all until the target has its restored content.
func (p *promotion) swap(ctx context.Context) error {
	staging, target, old, err := p.databases(ctx)
	if err != nil {
		return err
	}
	op := "promote database " + quoted(p.names.staging)
	switch {
	case staging == nil && target != nil && target.ours:
		return nil // an earlier attempt got here
	case staging == nil:
		return errors.Join(failure.New(failure.NotFound, op, fmt.Sprintf("it does not exist, and %s is not the result of this restore", quoted(p.names.target)),
			"Run the restore again."), p.putBack(ctx))
	case staging.state != stateOnline || !staging.ours:
		return errors.Join(failure.New(failure.Corrupt, op, "it was not restored to the end", "Run the restore again."), p.putBack(ctx))
	case target != nil && old != nil:
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("database %s was made while its former content is in %s", quoted(p.names.target), quoted(p.names.old)),
			"Look at both, drop the one that is not wanted, and run the restore again.")
	}
	// What was private is so no more. Before the target goes: if this fails, nothing has happened.
	if staging.access == restricted {
		if err := p.server.setAccess(ctx, p.names.staging, multiUser); err != nil {
			return p.undo(ctx, err)
		}
	}
	if target != nil {
		// What is in the target may have changed since CheckTarget.
		if err := p.server.checkReplaceable(ctx, target, p.req); err != nil {
			return err
		}
		if err := p.moveAway(ctx, target); err != nil {
			return p.undo(ctx, err)
		}
	}
	if err := p.server.rename(ctx, p.names.staging, p.names.target); err != nil {
		return p.undo(ctx, err)
	}
	return nil
}

// moveAway gives the target its old name. Single-user mode keeps other sessions out meanwhile.
func (p *promotion) moveAway(ctx context.Context, target *database) error {
	if err := p.rememberAccess(target.access); err != nil {
		return err
	}
	if err := p.server.setAccess(ctx, p.names.target, singleUser); err != nil {
		return err
	}
	return p.server.rename(ctx, p.names.target, p.names.old)
}

// undo puts the target back after an error, also when ctx has ended. The connection may be what failed.
func (p *promotion) undo(ctx context.Context, cause error) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	server, err := maintenance(ctx, p.server.src)
	if err == nil {
		defer server.close()
		again := *p
		again.server = server
		err = again.putBack(ctx)
	}
	return errors.Join(cause, failure.Wrap(failure.ClassOf(err), "put database "+quoted(p.names.target)+" back", err, "Call the restore's steps again, or rename "+quoted(p.names.old)+" by hand."))
}

// putBack gives the old database its name back if nothing has taken it, and the target the access that it
// had before an interrupted Promote. A target that is the restore's result is only taken out of
// single-user mode.
func (p *promotion) putBack(ctx context.Context) error {
	_, target, old, err := p.databases(ctx)
	if err != nil {
		return err
	}
	if target == nil && old != nil {
		if err := p.server.rename(ctx, p.names.old, p.names.target); err != nil {
			return err
		}
		if target, err = p.server.find(ctx, p.names.target, p.names); err != nil {
			return err
		}
	}
	access, known := p.recallAccess()
	if known && target != nil && !target.ours && target.access == singleUser && access != singleUser {
		if err := p.server.setAccess(ctx, p.names.target, access); err != nil {
			return err
		}
	}
	p.forgetAccess()
	return nil
}

// accessFile is where the target's access is written down.
func (p *promotion) accessFile() string { return filePrefix + p.names.token + ".access" }

// rememberAccess keeps what the first attempt found: a later one may find what that left.
func (p *promotion) rememberAccess(access string) error {
	if _, known := p.recallAccess(); known {
		return nil
	}
	file, err := p.dir.root.OpenFile(p.accessFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fileMode)
	if err == nil {
		_, err = file.WriteString(access + "\n")
		if syncErr := file.Sync(); err == nil {
			err = syncErr
		}
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}
	return writeFailure("write file "+p.accessFile()+" into worker_directory", err)
}

// recallAccess is what rememberAccess wrote down. An empty file was interrupted before anything changed.
func (p *promotion) recallAccess() (access string, known bool) {
	text, err := fs.ReadFile(p.dir.root.FS(), p.accessFile())
	if err != nil {
		return "", false
	}
	access = strings.TrimSpace(string(text))
	switch access {
	case multiUser, singleUser, restricted:
		return access, true
	}
	return "", false
}

func (p *promotion) forgetAccess() { _ = p.dir.root.Remove(p.accessFile()) }
