package activities

import (
	"context"
	"errors"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// bindRepository makes sure that a store is the one that holds the location's backups, making the
// repository the first time, and again where it was wiped. A disk that is not mounted, or a path that was
// changed, must not silently become a second one.
func (a *Activities) bindRepository(ctx context.Context, location db.StorageLocation, store storage.Store) error {
	if location.RepositoryID != "" {
		wiped, err := a.checkRepository(ctx, location, store)
		if err == nil && wiped {
			a.Logger.Warn("storage location was wiped; its repository is made anew", "storage", location.Name)
			_, err = archive.RestoreRepository(ctx, store, location.RepositoryID)
		}
		return failure.WithSubject(err, aboutStorage(location.Name))
	}
	repository, err := archive.EnsureRepository(ctx, store)
	if err != nil {
		return failure.WithSubject(err, aboutStorage(location.Name))
	}
	location.RepositoryID, err = a.DB.BindRepository(ctx, location.ID, repository.ID)
	if err != nil {
		return err
	}
	if err := sameRepository(location, repository); err != nil {
		return err
	}
	return a.noteVolume(ctx, location, store)
}

// checkRepository refuses a store that does not hold the repository which the location is known for. One
// that was wiped passes: the very volume on which the repository was is there, and the repository is not.
// What is missing then is lost, not out of sight.
func (a *Activities) checkRepository(ctx context.Context, location db.StorageLocation, store storage.Store) (wiped bool, err error) {
	if location.RepositoryID == "" {
		return false, nil
	}
	repository, err := archive.ReadRepository(ctx, store)
	if errors.Is(err, storage.ErrNotFound) {
		var volume string
		volume, err = storage.VolumeOf(ctx, store)
		if err == nil && volume != "" && volume == location.Volume {
			return true, nil
		}
		if err == nil {
			err = failure.New(failure.ConfigInvalid, openRepository, "the repository with this location's backups is not there", otherRepositoryHint)
		}
	}
	if err == nil {
		err = sameRepository(location, repository)
	}
	if err == nil {
		err = a.noteVolume(ctx, location, store)
	}
	return false, failure.WithSubject(err, aboutStorage(location.Name))
}

// noteVolume remembers where the repository was seen. It is there, so whatever was remembered before is
// out of date: data that was moved to a larger disk. A store that can not tell changes nothing.
func (a *Activities) noteVolume(ctx context.Context, location db.StorageLocation, store storage.Store) error {
	volume, err := storage.VolumeOf(ctx, store)
	if err != nil || volume == "" || volume == location.Volume {
		return failure.WithSubject(err, aboutStorage(location.Name))
	}
	return a.DB.SetVolume(ctx, location.ID, location.RepositoryID, volume)
}

const (
	openRepository      = "open repository"
	otherRepositoryHint = "Mount the disk that holds the backups, or set the path back; to start anew elsewhere, create another storage location. " +
		"If the directory was deleted and made anew, put dataguardian.json back from a copy of the location, or create another location."
)

func sameRepository(location db.StorageLocation, repository archive.Repository) error {
	if repository.ID == location.RepositoryID {
		return nil
	}
	return failure.WithSubject(failure.New(failure.ConfigInvalid, openRepository,
		"it holds another repository than the one with this location's backups", otherRepositoryHint), aboutStorage(location.Name))
}
