package activities

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// sweptFolder is the folder of chunks that the listing is in.
type sweptFolder struct {
	dir, name string
	active    bool // a backup that is queued or running may be writing into it
	leftover  bool // it is that of a failed or cancelled backup
}

// manifest decides whether a manifest stays.
func (s *sweeper) manifest(ctx context.Context, o storage.Object, place archive.Place) error {
	s.result.Manifests++
	owner, known, err := s.a.ownerOf(ctx, place)
	if err != nil {
		return err
	}
	// Of an attempt that was overtaken and came back once more, after the settling of its execution.
	stale := known && owner.Status == domain.Completed && owner.DeletingAt == nil && owner.ManifestPath != o.Key && s.old(o)
	if stale {
		// What an import took for a copy need not be named as the backup itself is.
		copied, err := s.isReplica(ctx, owner.ID, o.Key)
		if err != nil {
			return err
		}
		stale = !copied
	}
	switch {
	case !known || owner.Lost && owner.Abandoned():
		// A manifest is there once a backup is complete. Of a backup that was closed without an answer
		// from its workflow it may be all that is right: a catalogue that was restored from an older
		// copy of itself knows the backup as running.
		s.result.UnknownBackups++
		s.manifests = append(s.manifests, o.Key)
	case owner.Abandoned():
		s.result.Leftovers.Add(o.Size)
		s.doomed = append(s.doomed, o)
	case stale:
		s.result.Orphans.Add(o.Size)
		s.doomed = append(s.doomed, o)
	default:
		s.manifests = append(s.manifests, o.Key)
	}
	return nil
}

// isReplica reports whether a manifest is that of a backup's copy on the location, whole or not.
func (s *sweeper) isReplica(ctx context.Context, executionID, key string) (bool, error) {
	replicas, err := s.a.DB.ListReplicas(ctx, executionID)
	return slices.ContainsFunc(replicas, func(r db.Replica) bool {
		return r.StorageLocationID == s.location.ID && r.ManifestPath == key
	}), err
}

func (s *sweeper) old(o storage.Object) bool { return s.started.Sub(o.ModTime) > orphanAge }

// chunk notes a chunk for the look-up, unless it stays whatever the catalogue says.
func (s *sweeper) chunk(ctx context.Context, o storage.Object, place archive.Place) error {
	s.result.Objects, s.result.Bytes = s.result.Objects+1, s.result.Bytes+o.Size
	if place.Dir != s.folder.dir || place.Folder != s.folder.name {
		if err := s.lookUp(ctx); err != nil {
			return err
		}
		if err := s.enter(ctx, place); err != nil {
			return err
		}
	}
	if s.folder.active || !s.folder.leftover && !s.old(o) {
		return nil
	}
	if len(s.orphans) >= maxOrphans {
		s.result.More = true
		return nil
	}
	s.batch, s.chunks = append(s.batch, o), append(s.chunks, place.Chunk)
	if len(s.batch) < removeBatch {
		return nil
	}
	return s.lookUp(ctx)
}

// enter learns whose folder it is.
func (s *sweeper) enter(ctx context.Context, place archive.Place) error {
	s.folder = sweptFolder{dir: place.Dir, name: place.Folder}
	generation, _, _ := strings.Cut(place.Folder, "-")
	backups, err := s.a.DB.BackupsOfGeneration(ctx, generation)
	owned, abandoned := 0, 0
	for _, b := range backups {
		if !archive.OwnFolder(place.Folder, b.Generation, b.ID) {
			continue
		}
		owned++
		if b.Abandoned() {
			abandoned++
		}
		s.folder.active = s.folder.active || !b.Status.Finished()
	}
	s.folder.leftover = owned > 0 && owned == abandoned
	return err
}

// lookUp asks the catalogue for references to the chunks of the batch.
func (s *sweeper) lookUp(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	live, err := s.a.DB.LiveChunks(ctx, s.folder.name, s.chunks)
	if err != nil {
		return err
	}
	for i, o := range s.batch {
		if !live[s.chunks[i]] {
			s.orphans[o.Key] = orphan{bytes: o.Size, leftover: s.folder.leftover}
		}
	}
	s.batch, s.chunks = s.batch[:0], s.chunks[:0]
	return nil
}

// spareNamed takes everything that a manifest names off the list. Manifests are read only when there
// is something on it, which is rare.
func (s *sweeper) spareNamed(ctx context.Context) error {
	for _, key := range s.manifests {
		if len(s.orphans) == 0 {
			return nil
		}
		manifest, err := archive.OpenManifest(ctx, s.store, key, "")
		switch class := failure.ClassOf(err); {
		case err == nil:
			for i := range manifest.Objects {
				delete(s.orphans, manifest.ObjectKey(i))
			}
		case errors.Is(err, storage.ErrNotFound): // deleted since it was listed
		case class == failure.Corrupt || class == failure.Unsupported:
			s.spareDatasource(key)
		default:
			return err
		}
	}
	return nil
}

// spareDatasource keeps everything of a datasource, one of whose manifests can not be read: what it
// names is not known.
func (s *sweeper) spareDatasource(manifestKey string) {
	if len(s.result.Unreadable) < maxNamed {
		s.result.Unreadable = append(s.result.Unreadable, manifestKey)
	}
	unreadable, _ := archive.Locate(manifestKey)
	maps.DeleteFunc(s.orphans, func(key string, _ orphan) bool {
		place, _ := archive.Locate(key)
		return place.Datasource() == unreadable.Datasource()
	})
}
