package db

import (
	"context"
	"errors"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Datasource is a thing that is backed up. Config holds its secrets in plain text: it is sealed on
// the way in and opened on the way out.
type Datasource struct {
	ID                string
	Name              string
	Type              domain.DatasourceType
	Enabled           bool
	Tags              []string
	Pool              string
	Config            domain.ConnectionConfig
	Status            domain.DatasourceStatus
	LastHealthCheckAt *time.Time
	Version           int64
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

// maxHolders is how many holders an InUseError names.
const maxHolders = 10

// CreateDatasource stores a new datasource; an empty ID is made up. Status, Version and the times
// are the database's. Errors: DuplicateError.
func (q *Queries) CreateDatasource(ctx context.Context, d Datasource) (Datasource, error) {
	const op = "create datasource"
	id, err := idOr(d.ID)
	if err != nil {
		return Datasource{}, err
	}
	if err := makeable(ctx, ofDatasource(id, d.Tags)); err != nil {
		return Datasource{}, err
	}
	config, err := q.sealConnection(id, d.Config)
	if err != nil {
		return Datasource{}, err
	}
	var row dbgen.Datasource
	err = q.inSealingTx(ctx, func(q *Queries) error {
		row, err = q.q.CreateDatasource(ctx, dbgen.CreateDatasourceParams{
			ID: id, Name: d.Name, Type: d.Type, Enabled: d.Enabled, Tags: orEmpty(d.Tags), Pool: poolOr(d.Pool), Config: config,
		})
		return translate(op, err)
	})
	if err != nil {
		return Datasource{}, err
	}
	return q.datasource(row)
}

// GetDatasource reads one. Errors: ErrNotFound.
func (q *Queries) GetDatasource(ctx context.Context, id string) (Datasource, error) {
	op := "read datasource " + id
	if err := checkID(op, id); err != nil {
		return Datasource{}, err
	}
	row, err := q.q.GetDatasource(ctx, id)
	if err != nil {
		return Datasource{}, translate(op, err)
	}
	if err := seen(ctx, op, ofDatasource(row.ID, row.Tags)); err != nil {
		return Datasource{}, err
	}
	return q.datasource(row)
}

// ListDatasources reads one page and the cursor of the next, "" on the last one. Errors:
// ErrInvalidCursor.
func (q *Queries) ListDatasources(ctx context.Context, page Page) ([]Datasource, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	scope, err := scopeFor(ctx, domain.ScopeDatasource)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListDatasources(ctx, dbgen.ListDatasourcesParams{Scope: scope, BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch()})
	if err != nil {
		return nil, "", translate("list datasources", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.Datasource) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, q.datasource)
	return out, next, err
}

// UpdateDatasource replaces everything but status and times. d.Version is the version that was
// read; 0 overwrites whatever is there. Errors: ErrNotFound, ErrVersionMismatch, DuplicateError.
func (q *Queries) UpdateDatasource(ctx context.Context, d Datasource) (Datasource, error) {
	op := "update datasource " + d.ID
	if err := checkID(op, d.ID); err != nil {
		return Datasource{}, err
	}
	config, err := q.sealConnection(d.ID, d.Config)
	if err != nil {
		return Datasource{}, err
	}
	var row dbgen.Datasource
	err = q.inSealingTx(ctx, func(q *Queries) error {
		row, err = q.q.UpdateDatasource(ctx, dbgen.UpdateDatasourceParams{
			ID: d.ID, Name: d.Name, Type: d.Type, Enabled: d.Enabled, Tags: orEmpty(d.Tags), Pool: poolOr(d.Pool),
			Config: config, ExpectedVersion: d.Version,
		})
		return mismatchOr(translate(op, err), func() error { _, err := q.q.GetDatasource(ctx, d.ID); return err })
	})
	if err != nil {
		return Datasource{}, err
	}
	return q.datasource(row)
}

// DeleteDatasource deletes it with its health history. Errors: ErrNotFound; InUseError while a
// job, running work or a kept backup needs it.
func (q *Queries) DeleteDatasource(ctx context.Context, id string) error {
	op := "delete datasource " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		// The lock keeps new jobs and executions from naming the row until it is gone.
		if _, err := q.q.LockDatasource(ctx, id); err != nil {
			return translate(op, err)
		}
		holders, err := q.q.DatasourceHolders(ctx, dbgen.DatasourceHoldersParams{ID: id, MaxHolders: maxHolders})
		if err := refuseHeld(op, holders, err); err != nil {
			return err
		}
		_, err = q.q.DeleteDatasource(ctx, id)
		return translate(op, err)
	})
}

func (q *Queries) datasource(row dbgen.Datasource) (Datasource, error) {
	d := Datasource(row)
	var err error
	d.Config, err = q.openConnection(d.ID, d.Config)
	return d, err
}

// mismatchOr turns "no row was updated" into ErrVersionMismatch when the row is there.
func mismatchOr(err error, get func() error) error {
	if !errors.Is(err, ErrNotFound) || get() != nil {
		return err
	}
	return ErrVersionMismatch
}

func refuseHeld(op string, holders []string, err error) error {
	if err != nil {
		return translate(op, err)
	}
	if len(holders) > 0 {
		return &InUseError{Holders: holders}
	}
	return nil
}

func poolOr(pool string) string {
	if pool == "" {
		return domain.DefaultPool
	}
	return pool
}

// orEmpty keeps a nil slice from becoming NULL.
func orEmpty(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}

// convert maps rows and stops at the first that fails.
func convert[Row, T any](rows []Row, one func(Row) (T, error)) ([]T, error) {
	out := make([]T, 0, len(rows))
	for _, row := range rows {
		value, err := one(row)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}
