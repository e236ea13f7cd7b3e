package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Execution is one run of a backup or a restore. What it names may have been deleted since.
type Execution struct {
	ID                  string
	JobID               *string
	DatasourceID        *string
	StorageLocationID   *string
	Status              domain.ExecutionStatus
	BackupType          domain.BackupType
	SizeBytes           int64 // plain bytes of the dump
	CompressedSizeBytes int64 // bytes this execution added to the storage location
	StartedAt           *time.Time
	FinishedAt          *time.Time
	ErrorMessage        string
	Pinned              bool
	Generation          string  // the chunks' folder: the id8 of the full that opened it
	ParentExecutionID   *string // the backup this one builds on; nil for a full, and once that one is gone
	IncrementNumber     int     // place in the generation, 0 for the full
	Metadata            domain.ExecutionMetadata
	CreatedAt           time.Time
	DeletingAt          *time.Time // since when it is being deleted; from then on nothing may read it or build on it
	WaitingFor          string     // why a queued execution has not begun, "" when it does not wait for a place
}

// ExecutionFilter narrows a list; the zero value of a field does not.
type ExecutionFilter struct {
	JobID             string
	DatasourceID      string
	StorageLocationID string
	Status            domain.ExecutionStatus
	Operation         domain.Operation
	Kept              bool      // not being deleted
	From              time.Time // created at or after
	To                time.Time // created before
}

// CreateExecution stores a new execution in state queued. An empty ID is made up, an empty
// Generation is the id8 of the execution, an empty BackupType is full. Metadata.Operation is
// required; Metadata.Options are stored without their secrets, which are the job's. Errors: ErrActiveExecution when the job has a queued or running backup; ReferenceError.
func (q *Queries) CreateExecution(ctx context.Context, e Execution) (Execution, error) {
	const op = "create execution"
	id, err := idOr(e.ID)
	if err != nil {
		return Execution{}, err
	}
	if e.Generation == "" {
		e.Generation = domain.ID8(id)
	}
	if e.BackupType == "" {
		e.BackupType = domain.Full
	}
	e.Metadata.Options = withoutSecrets(e.Metadata.Options)
	if err := q.q.CreateExecution(ctx, dbgen.CreateExecutionParams{
		ID: id, JobID: e.JobID, DatasourceID: e.DatasourceID, StorageLocationID: e.StorageLocationID,
		BackupType: e.BackupType, Pinned: e.Pinned, Generation: e.Generation, Metadata: e.Metadata,
	}); err != nil {
		return Execution{}, translate(op, err)
	}
	return q.GetExecution(Unscoped(ctx), id) // its maker's own
}

func withoutSecrets(o *domain.BackupOptions) *domain.BackupOptions {
	if o == nil {
		return nil
	}
	without := o.WithoutSecrets()
	return &without
}

// GetExecution reads one, its log included. Errors: ErrNotFound.
func (q *Queries) GetExecution(ctx context.Context, id string) (Execution, error) {
	op := "read execution " + id
	if err := checkID(op, id); err != nil {
		return Execution{}, err
	}
	row, err := q.q.GetExecution(ctx, id)
	if err != nil {
		return Execution{}, translate(op, err)
	}
	if err := seen(ctx, op, ofJob(row.DatasourceID, row.StorageLocationID, row.JobID)); err != nil {
		return Execution{}, err
	}
	e := Execution{
		ID: row.ID, JobID: row.JobID, DatasourceID: row.DatasourceID, StorageLocationID: row.StorageLocationID,
		Status: row.Status, BackupType: row.BackupType, SizeBytes: row.SizeBytes, CompressedSizeBytes: row.CompressedSizeBytes,
		StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, ErrorMessage: row.ErrorMessage, Pinned: row.Pinned,
		Generation: row.Generation, ParentExecutionID: row.ParentExecutionID, IncrementNumber: int(row.IncrementNumber),
		DeletingAt: row.DeletingAt, Metadata: row.Metadata, CreatedAt: row.CreatedAt, WaitingFor: row.WaitingFor,
	}
	e.Metadata.Progress = row.Progress
	return e, nil
}

// ListExecutions reads one page and the cursor of the next, "" on the last one. The rows come
// without Metadata.ExecutionLogs. Errors: ErrInvalidCursor.
func (q *Queries) ListExecutions(ctx context.Context, filter ExecutionFilter, page Page) ([]Execution, string, error) {
	const op = "list executions"
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	for _, id := range []string{filter.JobID, filter.DatasourceID, filter.StorageLocationID} {
		if id != "" && !isID(id) {
			return []Execution{}, "", nil // no execution names what can not exist
		}
	}
	if !filter.shows(ctx) {
		return []Execution{}, "", nil
	}
	document := documentFor(ctx, domain.ScopeKinds()...)
	if ids, alone := filter.lead(document); ids != nil {
		rows, err := q.listLed(ctx, filter, from, page.fetch(), document, ids, alone)
		if err != nil {
			return nil, "", err
		}
		return listedExecutions(rows, page)
	}
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListExecutions(ctx, dbgen.ListExecutionsParams{
		Scope: scope,
		JobID: unlessZero(filter.JobID), DatasourceID: unlessZero(filter.DatasourceID),
		StorageLocationID: unlessZero(filter.StorageLocationID), Status: unlessZero(filter.Status),
		Operation: unlessZero(string(filter.Operation)), Kept: filter.Kept, CreatedFrom: unlessZero(filter.From), CreatedTo: unlessZero(filter.To),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate(op, err)
	}
	return listedExecutions(rows, page)
}

func listedExecutions(rows []dbgen.ListExecutionsRow, page Page) ([]Execution, string, error) {
	rows, next := pageOf(rows, page, func(r dbgen.ListExecutionsRow) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, listedExecution)
	return out, next, err
}

// NewestBackups reads the newest backup of each of the datasources that can be restored, without their logs.
func (q *Queries) NewestBackups(ctx context.Context, datasourceIDs []string) ([]Execution, error) {
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return nil, err
	}
	rows, err := q.q.NewestBackups(ctx, dbgen.NewestBackupsParams{Scope: scope, DatasourceIds: datasourceIDs})
	if err != nil {
		return nil, translate("read the newest backups", err)
	}
	return convert(rows, func(row dbgen.NewestBackupsRow) (Execution, error) {
		return listedExecution(dbgen.ListExecutionsRow(row))
	})
}

func listedExecution(row dbgen.ListExecutionsRow) (Execution, error) {
	e := Execution{
		ID: row.ID, JobID: row.JobID, DatasourceID: row.DatasourceID, StorageLocationID: row.StorageLocationID,
		Status: row.Status, BackupType: row.BackupType, SizeBytes: row.SizeBytes, CompressedSizeBytes: row.CompressedSizeBytes,
		StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, ErrorMessage: row.ErrorMessage, Pinned: row.Pinned,
		Generation: row.Generation, ParentExecutionID: row.ParentExecutionID, IncrementNumber: int(row.IncrementNumber),
		DeletingAt: row.DeletingAt, CreatedAt: row.CreatedAt, WaitingFor: row.WaitingFor,
	}
	if err := json.Unmarshal(row.Metadata, &e.Metadata); err != nil {
		return Execution{}, failure.Wrap(failure.Corrupt, "read the metadata of execution "+row.ID, err, "")
	}
	e.Metadata.Progress = row.Progress
	return e, nil
}

func unlessZero[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
