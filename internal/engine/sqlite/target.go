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

// CheckTarget looks at names, the folder's permissions and free space, and at what the target holds and who
// uses it.
func (e *Engine) CheckTarget(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	p, err := placeOf(target, req)
	if err != nil {
		return err
	}
	size := int64(0)
	if !req.BeforeBackup {
		stream, err := mainStream(req.Streams)
		if err != nil {
			return err
		}
		if size, err = sizeOf(stream); err != nil {
			return err
		}
	}
	if len(req.IncludePaths) > 0 {
		return failure.New(failure.Unsupported, "restore", "a SQLite database has no paths to choose", "Leave include_paths empty.")
	}
	if err := checkFolder(filepath.Dir(p.staging), size); err != nil || req.Scratch {
		return err
	}
	return p.checkReplaceable(ctx, req, e.holdTimeout)
}

func checkFolder(dir string, size int64) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "check the folder "+dir, err,
			"A restore writes a new file beside the old one: run the worker as a user who may write in the folder, or as root.")
	}
	return classify("check the folder "+dir, checkSpace(dir, size))
}

// checkReplaceable refuses a target that is there and must not, or can not, be replaced. One that this restore
// itself put there is left to Promote.
func (p place) checkReplaceable(ctx context.Context, req engine.StageRequest, limit time.Duration) error {
	dropExisting := req.MayReplace()
	op := "check the target file " + p.target
	info, err := os.Lstat(p.target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if left := sides(p.target); len(left) > 0 && !dropExisting {
			return failure.New(failure.ConfigInvalid, op, "it does not exist, but "+strings.Join(left, " and ")+" of a lost database do",
				"Move them away, or set drop_existing to remove them.")
		}
		return nil
	case err != nil:
		return classify(op, err)
	case !info.Mode().IsRegular():
		return failure.New(failure.ConfigInvalid, op, "it is not a file", "Give another target_database.")
	case p.restored():
		return nil
	case info.Size() == 0 && len(sides(p.target)) == 0:
		return nil
	}
	holder, err := p.hold(ctx, limit)
	if err == nil {
		defer func() { _ = holder.close() }()
	}
	switch {
	case isDamaged(err) && dropExisting && p.own:
		return nil
	case isDamaged(err):
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("it is not a SQLite database that can be read (%v)", err),
			"Set drop_existing to replace a damaged database at the datasource's own file_path; other files are never replaced.")
	case err != nil:
		return classify(op, err)
	case !dropExisting && holder.objects > 0:
		return failure.New(failure.ConfigInvalid, op, "it exists and is not empty", req.NotEmptyHint())
	}
	return nil
}
