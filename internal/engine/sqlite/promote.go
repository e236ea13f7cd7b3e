package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Promote renames the staging to the target's name, in one step that replaces the old file: until then the
// old database is whole, its WAL written into it. It is held exclusively meanwhile, and its side files are
// removed before the new file has its name.
func (e *Engine) Promote(ctx context.Context, target engine.Source, req engine.StageRequest) (warnings []string, err error) {
	if req.Scratch {
		return nil, failure.New(failure.ConfigInvalid, "promote a restore", "it is a verification, which replaces nothing", "")
	}
	p, err := placeOf(target, req)
	if err != nil {
		return nil, err
	}
	op := "give " + p.target + " its restored content"
	if !exists(p.staging) {
		if p.restored() {
			return p.clearAside(), syncDir(filepath.Dir(p.target)) // an earlier attempt got as far as the rename
		}
		return nil, failure.New(failure.NotFound, op, fmt.Sprintf("%s does not exist, and the target is not the result of this restore", p.staging), "Run the restore again.")
	}
	// What is in the target may have changed since CheckTarget.
	if err := p.checkReplaceable(ctx, req, e.holdTimeout); err != nil {
		return nil, err
	}
	if err := p.swap(ctx, e.holdTimeout); err != nil {
		return nil, classify(op, errors.Join(err, p.unmarkUnlessSwapped()))
	}
	return p.clearAside(), nil
}

// swap writes the mark first: with it and without a staging, the target is this restore's.
func (p place) swap(ctx context.Context, limit time.Duration) error {
	if err := p.writeMark(); err != nil {
		return err
	}
	if info, err := os.Stat(p.target); errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size() == 0 && len(sides(p.target)) == 0) {
		return p.rename(p.moveAside)
	}
	held, err := p.hold(ctx, limit)
	if isDamaged(err) { // SQLite can not lock what it can not read; checkReplaceable allowed it
		return p.rename(p.moveAside)
	}
	if err != nil {
		return err
	}
	if err := p.rename(held.clearSides); err != nil {
		return errors.Join(err, held.close())
	}
	_ = held.replaced() // the lock of a file that is gone
	return nil
}

// rename puts the staging in the target's place after prepare saw to the side files.
func (p place) rename(prepare func() error) error {
	if err := prepare(); err != nil {
		return err
	}
	if left := sides(p.target); len(left) > 0 {
		return failure.New(failure.ConfigInvalid, "replace the database", strings.Join(left, " and ")+" appeared meanwhile: it is in use", useHint)
	}
	if err := os.Rename(p.staging, p.target); err != nil {
		return err
	}
	return syncDir(filepath.Dir(p.target))
}

// moveAside takes the side files of a database that can not be held out of the new one's way. They are kept
// until it is replaced: with them, a damaged file may be saved by hand.
func (p place) moveAside() error {
	for _, path := range sides(p.target) {
		if err := os.Rename(path, p.aside+strings.TrimPrefix(path, p.target)); err != nil {
			return err
		}
	}
	return nil
}

// moveBack gives a database that was not replaced after all its side files back.
func (p place) moveBack() error {
	for _, path := range sides(p.aside) {
		if back := p.target + strings.TrimPrefix(path, p.aside); !exists(back) {
			if err := os.Rename(path, back); err != nil {
				return err
			}
		}
	}
	return nil
}

// clearAside removes what moveAside kept.
func (p place) clearAside() (warnings []string) {
	for _, path := range sides(p.aside) {
		if err := removeFile(path); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s of the replaced database could not be removed: %v", path, err))
		}
	}
	return warnings
}

// writeMark is durable before the rename is.
func (p place) writeMark() error {
	temporary := p.mark + "." + p.token
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600) //nolint:gosec // beside the target
	if err != nil {
		return err
	}
	_, err = file.WriteString(p.token + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, removeFile(temporary))
	}
	return os.Rename(temporary, p.mark)
}

func (p place) unmarkUnlessSwapped() error {
	if !exists(p.staging) {
		return nil
	}
	return p.unmark()
}

// Discard removes the staging. It never touches the target.
func (e *Engine) Discard(_ context.Context, target engine.Source, req engine.StageRequest) error {
	p, err := placeOf(target, req)
	if err != nil {
		return err
	}
	if exists(p.staging) && p.mark != "" { // before the staging: without it, the mark says that it was promoted
		err = p.unmark()
	}
	err = errors.Join(err, removeFile(p.partial), removeFile(p.staging))
	for _, path := range sides(p.staging) {
		err = errors.Join(err, removeFile(path))
	}
	if p.target != "" && !p.restored() {
		err = errors.Join(err, p.moveBack())
	}
	return classify("remove what was restored", err)
}
