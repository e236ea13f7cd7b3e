package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// RepositoryKey is the object at the root of a storage location that says what it is.
const RepositoryKey = "dataguardian.json"

const (
	repositoryFormat = "dataguardian-repository"
	formatVersion    = 1
)

// Repository is the document at RepositoryKey.
type Repository struct {
	Format    string    `json:"format"`
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
}

// EnsureRepository reads the repository document, writing it first where there is none. Two
// writers that start at the same moment may both write it; both then read what stayed, and as
// nothing depends on the id but people who tell two copies apart, the loser's id is no harm. A
// document of another format or a newer version is Unsupported, one that is not JSON is Corrupt.
func EnsureRepository(ctx context.Context, store storage.Store) (Repository, error) {
	const op = "open repository"
	repository, err := readRepository(ctx, store)
	if !errors.Is(err, storage.ErrNotFound) {
		return repository, wrap(op, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return repository, wrap(op, err)
	}
	return writeRepository(ctx, store, id.String())
}

// RestoreRepository writes the repository document of a location that had this id and lost it.
func RestoreRepository(ctx context.Context, store storage.Store, id string) (Repository, error) {
	return writeRepository(ctx, store, id)
}

func writeRepository(ctx context.Context, store storage.Store, id string) (repository Repository, err error) {
	const op = "make repository"
	document, err := json.MarshalIndent(Repository{
		Format: repositoryFormat, Version: formatVersion, ID: id, CreatedAt: time.Now().UTC().Truncate(time.Second),
	}, "", "  ")
	if err != nil {
		return repository, wrap(op, err)
	}
	document = append(document, '\n')
	if err := store.Put(ctx, RepositoryKey, bytes.NewReader(document), int64(len(document))); err != nil {
		return repository, wrap(op, err)
	}
	repository, err = readRepository(ctx, store)
	return repository, wrap(op, err)
}

// ReadRepository reads the repository document. Errors: storage.ErrNotFound where there is none, and
// as EnsureRepository.
func ReadRepository(ctx context.Context, store storage.Store) (Repository, error) {
	repository, err := readRepository(ctx, store)
	return repository, wrap("open repository", err)
}

func readRepository(ctx context.Context, store storage.Store) (r Repository, err error) {
	body, err := store.Get(ctx, RepositoryKey, 0, -1)
	if err != nil {
		return r, err
	}
	defer body.Close()
	document, err := io.ReadAll(io.LimitReader(body, 64*kib))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(document, &r); err != nil {
		return r, failure.Wrap(failure.Corrupt, "read "+RepositoryKey, err,
			"Restore this file from a copy of the storage location; the backups in it are still readable.")
	}
	if r.Format != repositoryFormat || r.Version != formatVersion {
		return r, failure.New(failure.Unsupported, "read "+RepositoryKey,
			fmt.Sprintf("the storage holds format %q version %d; this program knows %q version %d", r.Format, r.Version, repositoryFormat, formatVersion),
			"Use a newer DataGuardian, or an empty directory.")
	}
	return r, nil
}
