package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// StorageLocation is a place where backups are kept. Config holds its secrets in plain text: it is
// sealed on the way in and opened on the way out.
type StorageLocation struct {
	ID               string
	Name             string
	Type             domain.StorageLocationType
	Enabled          bool
	IsDefault        bool
	Tags             []string
	Pool             string
	Config           domain.StorageConfig
	Status           domain.StorageLocationStatus
	AvailableSpaceGB *float64 // GB of 10^9 bytes, nil unknown
	Version          int64
	CreatedAt        time.Time
	UpdatedAt        time.Time
	RepositoryID     string // in the repository document at its root, "" before the first backup
	Volume           string // on which the repository was last seen, see storage.Volumer; "" unknown
}

// CreateStorageLocation stores a new location; an empty ID is made up. One that is the default
// takes that from the one before. Errors: DuplicateError.
func (q *Queries) CreateStorageLocation(ctx context.Context, s StorageLocation) (StorageLocation, error) {
	const op = "create storage location"
	id, err := idOr(s.ID)
	if err != nil {
		return StorageLocation{}, err
	}
	if err := makeable(ctx, ofStorageLocation(id, s.Tags)); err != nil {
		return StorageLocation{}, err
	}
	config, err := q.sealStorage(id, s.Config)
	if err != nil {
		return StorageLocation{}, err
	}
	var row dbgen.StorageLocation
	err = q.inSealingTx(ctx, func(q *Queries) error {
		if err := q.takeDefault(ctx, id, s.IsDefault); err != nil {
			return err
		}
		row, err = q.q.CreateStorageLocation(ctx, dbgen.CreateStorageLocationParams{
			ID: id, Name: s.Name, Type: s.Type, Enabled: s.Enabled, IsDefault: s.IsDefault, Tags: orEmpty(s.Tags),
			Pool: poolOr(s.Pool), Config: config,
		})
		return translate(op, err)
	})
	if err != nil {
		return StorageLocation{}, err
	}
	return q.storageLocation(row)
}

// GetStorageLocation reads one. Errors: ErrNotFound.
func (q *Queries) GetStorageLocation(ctx context.Context, id string) (StorageLocation, error) {
	op := "read storage location " + id
	if err := checkID(op, id); err != nil {
		return StorageLocation{}, err
	}
	row, err := q.q.GetStorageLocation(ctx, id)
	if err != nil {
		return StorageLocation{}, translate(op, err)
	}
	if err := seen(ctx, op, ofStorageLocation(row.ID, row.Tags)); err != nil {
		return StorageLocation{}, err
	}
	return q.storageLocation(row)
}

// ListStorageLocations reads one page and the cursor of the next, "" on the last one.
func (q *Queries) ListStorageLocations(ctx context.Context, page Page) ([]StorageLocation, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	scope, err := scopeFor(ctx, domain.ScopeStorageLocation)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListStorageLocations(ctx, dbgen.ListStorageLocationsParams{Scope: scope, BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch()})
	if err != nil {
		return nil, "", translate("list storage locations", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.StorageLocation) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, q.storageLocation)
	return out, next, err
}

// UpdateStorageLocation replaces everything but status, space and times. s.Version is the version
// that was read; 0 overwrites whatever is there. Errors: ErrNotFound, ErrVersionMismatch,
// DuplicateError.
func (q *Queries) UpdateStorageLocation(ctx context.Context, s StorageLocation) (StorageLocation, error) {
	op := "update storage location " + s.ID
	if err := checkID(op, s.ID); err != nil {
		return StorageLocation{}, err
	}
	config, err := q.sealStorage(s.ID, s.Config)
	if err != nil {
		return StorageLocation{}, err
	}
	var row dbgen.StorageLocation
	err = q.inSealingTx(ctx, func(q *Queries) (err error) {
		if err := q.takeDefault(ctx, s.ID, s.IsDefault); err != nil {
			return err
		}
		row, err = q.q.UpdateStorageLocation(ctx, dbgen.UpdateStorageLocationParams{
			ID: s.ID, Name: s.Name, Type: s.Type, Enabled: s.Enabled, IsDefault: s.IsDefault, Tags: orEmpty(s.Tags),
			Pool: poolOr(s.Pool), Config: config, ExpectedVersion: s.Version,
		})
		return mismatchOr(translate(op, err), func() error { _, err := q.q.GetStorageLocation(ctx, s.ID); return err })
	})
	if err != nil {
		return StorageLocation{}, err
	}
	return q.storageLocation(row)
}

func (q *Queries) storageLocation(row dbgen.StorageLocation) (StorageLocation, error) {
	s := StorageLocation(row)
	var err error
	s.Config, err = q.openStorage(s.ID, s.Config)
	return s, err
}

// DeleteStorageLocation deletes it with its health history. Errors: ErrNotFound; InUseError while
// a job, running work or a kept backup needs it.
func (q *Queries) DeleteStorageLocation(ctx context.Context, id string) error {
	op := "delete storage location " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockStorageLocation(ctx, id); err != nil {
			return translate(op, err)
		}
		holders, err := q.q.StorageLocationHolders(ctx, dbgen.StorageLocationHoldersParams{ID: id, MaxHolders: maxHolders})
		if err := refuseHeld(op, holders, err); err != nil {
			return err
		}
		_, err = q.q.DeleteStorageLocation(ctx, id)
		return translate(op, err)
	})
}

// takeDefault clears the mark of the present default when another location is to have it.
func (q *Queries) takeDefault(ctx context.Context, id string, isDefault bool) error {
	if !isDefault {
		return nil
	}
	return translate("move the default storage location", q.q.ClearDefaultStorageLocation(ctx, id))
}

// BindRepository remembers the repository that a location holds, the first time, and returns the one
// that is remembered. Errors: ErrNotFound.
func (q *Queries) BindRepository(ctx context.Context, id, repositoryID string) (bound string, err error) {
	op := "bind the repository of storage location " + id
	if err := checkID(op, id); err != nil {
		return "", err
	}
	bound, err = q.q.BindRepository(ctx, dbgen.BindRepositoryParams{ID: id, RepositoryID: repositoryID})
	return bound, translate(op, err)
}

// SetVolume remembers on which volume the repository of a location was seen.
func (q *Queries) SetVolume(ctx context.Context, id, repositoryID, volume string) error {
	op := "record the volume of storage location " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return translate(op, q.q.SetVolume(ctx, dbgen.SetVolumeParams{ID: id, RepositoryID: repositoryID, Volume: volume}))
}

// HoldStorageLocation keeps a location from being deleted until the transaction ends. Whoever names it in
// a document calls this first. Errors: ErrNotFound.
func (q *Queries) HoldStorageLocation(ctx context.Context, id string) error {
	op := "hold storage location " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	_, err := q.q.HoldStorageLocation(ctx, id)
	return translate(op, err)
}
