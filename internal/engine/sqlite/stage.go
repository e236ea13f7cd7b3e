package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Stage writes the file beside the target, checks it with PRAGMA integrity_check, gives it the permissions and
// the owner of what it replaces (else the backup's permissions), and only then the staging's name.
func (e *Engine) Stage(ctx context.Context, target engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	p, err := placeOf(target, req)
	if err != nil {
		return engine.StageReport{}, err
	}
	stream, err := mainStream(req.Streams)
	if err != nil {
		return engine.StageReport{}, err
	}
	result, err := p.load(ctx, stream, req, open)
	if err != nil {
		err = errors.Join(err, removeFile(p.partial))
		for _, left := range sides(p.partial) {
			err = errors.Join(err, removeFile(left))
		}
		return engine.StageReport{}, classify("write the restored database "+p.staging, err)
	}
	return engine.StageReport{Staging: p.staging, Tables: result.tables, Warnings: result.warnings}, nil
}

func (p place) load(ctx context.Context, stream engine.Stream, req engine.StageRequest, open engine.Opener) (verdict, error) {
	size, err := sizeOf(stream)
	if err != nil {
		return verdict{}, err
	}
	for _, left := range []string{p.partial, p.staging} { // by an earlier attempt
		if err := removeFile(left); err != nil {
			return verdict{}, err
		}
	}
	if err := checkSpace(filepath.Dir(p.partial), size); err != nil {
		return verdict{}, err
	}
	if err := p.receive(ctx, stream, open, size); err != nil {
		return verdict{}, err
	}
	result, err := check(ctx, p.partial, fullCheck)
	if err != nil {
		return result, err
	}
	if choice := engine.NewChoice(req.IncludeTables); choice != nil {
		if err := p.choose(ctx, choice); err != nil {
			return result, err
		}
		if result, err = check(ctx, p.partial, fullCheck); err != nil {
			return result, err
		}
	}
	warning, err := p.inherit(stream)
	if err != nil {
		return result, err
	}
	if warning != "" {
		result.warnings = append(result.warnings, warning)
	}
	if err := os.Rename(p.partial, p.staging); err != nil {
		return result, err
	}
	return result, syncDir(filepath.Dir(p.staging))
}

func (p place) receive(ctx context.Context, stream engine.Stream, open engine.Opener, size int64) error {
	archive, err := open(ctx, stream.Name, 0)
	if err != nil {
		return failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
	}
	defer archive.Close()
	return receive(ctx, p.partial, archive, size)
}

// inherit gives the file permissions and owner.
func (p place) inherit(stream engine.Stream) (warning string, err error) {
	if p.target == "" {
		return "", nil // a verification: nobody else's business
	}
	info, err := os.Stat(p.target)
	if errors.Is(err, fs.ErrNotExist) {
		mode, err := strconv.ParseUint(stream.Properties[propMode], 8, 32)
		if err != nil {
			return "", nil //nolint:nilerr // it stays private
		}
		return "", os.Chmod(p.partial, fs.FileMode(mode).Perm())
	}
	if err != nil {
		return "", err
	}
	// By a descriptor: whoever owns the folder could put a link in the file's place.
	file, err := os.OpenFile(p.partial, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if owner, known := info.Sys().(*syscall.Stat_t); known {
		if err := file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			warning = fmt.Sprintf("the restored file does not belong to user %d and group %d as the old one does: %v", owner.Uid, owner.Gid, err)
		}
	}
	return warning, file.Chmod(info.Mode().Perm()) // after the owner, whose change may take bits away
}
