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
// repository the first time. A disk that is not mounted, or a path that was changed, must not
// silently become a second one.
func (a *Activities) bindRepository(ctx context.Context, location db.StorageLocation, store storage.Store) error {
	if location.RepositoryID != "" {
		return checkRepository(ctx, location, store)
	}
	repository, err := archive.EnsureRepository(ctx, store)
	if err != nil {
		return failure.WithSubject(err, aboutStorage(location.Name))
	}
	location.RepositoryID, err = a.DB.BindRepository(ctx, location.ID, repository.ID)
	if err != nil {
		return err
	}
	return sameRepository(location, repository)
}

// checkRepository refuses a store that does not hold the repository which the location is known for.
func checkRepository(ctx context.Context, location db.StorageLocation, store storage.Store) error {
	if location.RepositoryID == "" {
		return nil
	}
	repository, err := archive.ReadRepository(ctx, store)
	if errors.Is(err, storage.ErrNotFound) {
		err = failure.New(failure.ConfigInvalid, openRepository, "the repository with this location's backups is not there", otherRepositoryHint)
	}
	if err != nil {
		return failure.WithSubject(err, aboutStorage(location.Name))
	}
	return sameRepository(location, repository)
}

const (
	openRepository      = "open repository"
	otherRepositoryHint = "Mount the disk that holds the backups, or set the path back; to start anew elsewhere, create another storage location."
)

func sameRepository(location db.StorageLocation, repository archive.Repository) error {
	if repository.ID == location.RepositoryID {
		return nil
	}
	return failure.WithSubject(failure.New(failure.ConfigInvalid, openRepository,
		"it holds another repository than the one with this location's backups", otherRepositoryHint), aboutStorage(location.Name))
}
