package activities

import (
	"context"
	"errors"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// spared are chunks that a deletion leaves although no row of the catalogue says who needs them.
type spared struct {
	all    bool // a manifest can not be read: what it names is not known
	chunks map[objectName]struct{}
}

func (s spared) has(id archive.ChunkID, folder string) bool {
	_, named := s.chunks[objectName{id, folder}]
	return s.all || named
}

// hasKey is has for the key of an object.
func (s spared) hasKey(key string) bool {
	place, _ := archive.Locate(key)
	return s.has(place.Chunk, place.Folder)
}

// spare reads the manifests of the datasource that lie on the location while the catalogue does not
// have their backups there, and notes what they name. Two things bring them about: the catalogue
// was restored from an older copy of itself and lacks the increments that were built since; and two
// storage locations that are one and the same place, of which only one has the newer backups. Of
// every other backup the rows tell what it needs.
func (e *erasure) spare(ctx context.Context) (spared, error) {
	var keys []string
	err := e.job.store.List(ctx, e.job.directory()+"/backups/", func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	out := spared{chunks: map[objectName]struct{}{}}
	for _, key := range keys {
		if err != nil || out.all {
			break
		}
		err = e.spareNamed(ctx, key, &out)
	}
	return out, err
}

func (e *erasure) spareNamed(ctx context.Context, key string, out *spared) error {
	place, ours := archive.Locate(key)
	if !ours || !place.IsManifest() {
		return nil
	}
	if counted, err := e.counted(ctx, place); err != nil || counted {
		return err
	}
	manifest, err := archive.OpenManifest(ctx, e.job.store, key, "")
	switch class := failure.ClassOf(err); {
	case err == nil && manifest.Generation == e.job.execution.Generation:
		for i := range manifest.Objects {
			out.chunks[objectName{manifest.Objects[i].ID, manifest.Folder(i)}] = struct{}{}
		}
	case err == nil || errors.Is(err, storage.ErrNotFound): // deleted since it was listed
	case class == failure.Corrupt || class == failure.Unsupported:
		out.all = true
	default:
		return err
	}
	return nil
}

// counted reports whether the rows of the catalogue say what the backup of a manifest needs here, be
// it nothing.
func (e *erasure) counted(ctx context.Context, place archive.Place) (bool, error) {
	owner, known, err := e.a.ownerOf(ctx, place)
	switch {
	case err != nil || !known:
		return false, err
	case owner.ID == e.job.id() || owner.Generation != e.job.execution.Generation || owner.DeletingAt != nil || !owner.Status.Finished():
		return true, nil
	case owner.Abandoned():
		return !owner.Lost, nil
	}
	_, err = e.a.DB.GetCopy(ctx, owner.ID, e.job.storage.ID)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ownerOf finds the execution whose manifest this is.
func (a *Activities) ownerOf(ctx context.Context, place archive.Place) (db.StoredBackup, bool, error) {
	backups, err := a.DB.BackupsCreatedIn(ctx, place.Created)
	for _, b := range backups {
		if domain.ID8(b.ID) == place.Execution {
			return b, true, err
		}
	}
	return db.StoredBackup{}, false, err
}
