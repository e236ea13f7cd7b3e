package recovery

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// cleanUpLimit bounds the removal of what a failed restore had loaded.
const cleanUpLimit = 2 * time.Minute

// RestoreOptions are what a restore is told beside its target.
type RestoreOptions struct {
	DropExisting  bool     // what is not empty may be replaced
	Databases     []string // of a backup of a whole server; empty is all of them
	IncludePaths  []string // of a files backup; empty is everything
	IncludeTables []string // of a database; empty is everything
}

// Restore restores a backup into target: it checks the target, reads every stored byte of the backup
// and compares it with the manifest, loads beside the target and swaps. Before the swap the target
// is not touched, and what was loaded is removed after an error or a cancellation.
func (r *Recovery) Restore(ctx context.Context, b Backup, target Target, opts RestoreOptions) error {
	if err := b.Manifest.Unseal(r.Identities); err != nil {
		return err
	}
	token, err := newToken()
	if err != nil {
		return err
	}
	if target.Folder != "" {
		if err := checkFolder(target.Folder); err != nil {
			return err
		}
		if err := r.checkArchive(ctx, b); err != nil {
			return err
		}
		return r.restoreToFolder(ctx, b, target.Folder, token)
	}
	stager, err := r.stagerFor(b.Manifest, target)
	if err != nil {
		return err
	}
	request := engine.StageRequest{
		Token: token, Target: target.Database, DropExisting: opts.DropExisting, Jobs: engine.DefaultRestoreJobs(), Streams: engineStreams(b.Manifest),
		IncludePaths: opts.IncludePaths, IncludeTables: opts.IncludeTables,
	}
	if request.Databases, err = chooseDatabases(request.Streams, target, opts.Databases); err != nil {
		return err
	}
	return failure.WithSubject(r.restoreToServer(ctx, b, stager, target.Server, request), target.Server.Name)
}

func (r *Recovery) stagerFor(m *archive.Manifest, target Target) (engine.Stager, error) {
	const op = "restore"
	if !domain.SameFamily(m.DatasourceType, target.Server.Type) {
		return nil, failure.New(failure.Unsupported, op, fmt.Sprintf("a %s backup can not be restored into a %s server", m.DatasourceType, target.Server.Type),
			"Give a target of the backup's own type, or dir:FOLDER for its plain files.")
	}
	chosen, known := r.Engines[target.Server.Type]
	if known {
		var err error
		if chosen, err = databases.ForStreams(chosen, engineStreams(m)); err != nil {
			return nil, err
		}
	}
	stager, ok := chosen.(engine.Stager)
	if !ok {
		return nil, failure.New(failure.Unsupported, op, fmt.Sprintf("this version can not restore %s backups", m.DatasourceType),
			"Use a newer version, or give --to dir:FOLDER for its plain files.")
	}
	return stager, nil
}

// chooseDatabases says which databases of a backup of a whole server are restored; none for one of a
// single database.
func chooseDatabases(streams []engine.Stream, target Target, wanted []string) ([]string, error) {
	const op = "choose databases"
	has := databases.Names(streams)
	switch {
	case len(has) == 0 && len(wanted) > 0:
		return nil, failure.New(failure.ConfigInvalid, op, "the backup has one database only", "Leave --database out.")
	case len(has) == 0 && target.Database == "":
		return nil, failure.New(failure.ConfigInvalid, op, "the target names no database", targetHint)
	case len(has) == 0:
		return nil, nil
	case len(wanted) == 0 && target.Server.Type == domain.Postgres:
		// Postgres' own database can not be replaced; it is restored when it is asked for, under another name.
		wanted = slices.DeleteFunc(slices.Clone(has), func(name string) bool { return name == "postgres" })
	case len(wanted) == 0:
		wanted = has
	}
	if target.Database != "" && len(wanted) != 1 {
		return nil, failure.New(failure.ConfigInvalid, op, "the target is one database, and the backup has "+strings.Join(has, ", "),
			"Name one with --database, or leave the database out of --to: each is restored under its own name.")
	}
	return wanted, nil
}

func (r *Recovery) restoreToServer(ctx context.Context, b Backup, stager engine.Stager, server engine.Source, request engine.StageRequest) error {
	if err := stager.CheckTarget(ctx, server, request); err != nil {
		return err
	}
	if err := r.checkArchive(ctx, b); err != nil {
		return err
	}
	reader, err := archive.NewReader(r.Store, b.Manifest, r.Identities, archive.ReaderOptions{})
	if err != nil {
		return err
	}
	if err := r.load(ctx, stager, server, request, reader); err != nil {
		cleaning, stop := context.WithTimeout(context.WithoutCancel(ctx), cleanUpLimit)
		defer stop()
		request.Explain = func(message string) { r.say("%s", message) }
		if left := stager.Discard(cleaning, server, request); left != nil {
			r.say("what was loaded could not be removed: %v", left)
		}
		return err
	}
	return nil
}

func (r *Recovery) load(ctx context.Context, stager engine.Stager, server engine.Source, request engine.StageRequest, reader *archive.Reader) error {
	staged, err := stager.Stage(ctx, server, request, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		return reader.OpenStreamAt(ctx, name, offset)
	})
	if err != nil {
		return err
	}
	for _, warning := range staged.Warnings {
		r.say("warning: %s", warning)
	}
	r.say("loaded %d tables beside the target", staged.Tables)
	warnings, err := stager.Promote(ctx, server, request)
	for _, warning := range warnings {
		r.say("warning: %s", warning)
	}
	return err
}

// checkArchive reads every stored byte, so that damage is found before the first write.
func (r *Recovery) checkArchive(ctx context.Context, b Backup) error {
	objects, bytes, err := archive.CheckBytes(ctx, r.Store, b.Manifest, nil)
	if err != nil {
		return err
	}
	r.say("the backup is whole: %d objects, %d bytes", objects, bytes)
	return nil
}

// newToken makes the names of a restore's own database or folder unique.
func newToken() (string, error) {
	var token [4]byte
	_, err := rand.Read(token[:])
	return hex.EncodeToString(token[:]), failure.Wrap(failure.Unknown, "make a name", err, "")
}
