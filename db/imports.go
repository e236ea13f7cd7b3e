package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// ImportExecution stores a completed backup that was found on a storage location, under its own id.
// StartedAt, FinishedAt and CreatedAt are required; a parent that is not in the catalogue is left out
// until SetImportedParent, and linked is false. Metadata.Options are stored without their secrets, which older manifests
// may hold. Errors: DuplicateError for a second full of a generation; ReferenceError.
func (q *Queries) ImportExecution(ctx context.Context, e Execution, parentID string) (linked bool, err error) {
	op := "import execution " + e.ID
	if err := checkID(op, e.ID); err != nil {
		return false, err
	}
	e.Metadata.Options = withoutSecrets(e.Metadata.Options)
	linked, err = q.q.ImportExecution(ctx, dbgen.ImportExecutionParams{
		ID: e.ID, DatasourceID: e.DatasourceID, StorageLocationID: e.StorageLocationID, BackupType: e.BackupType,
		SizeBytes: e.SizeBytes, CompressedSizeBytes: e.CompressedSizeBytes, StartedAt: e.StartedAt, FinishedAt: e.FinishedAt,
		Generation: e.Generation, Metadata: e.Metadata, CreatedAt: e.CreatedAt, ParentID: idOrNil(parentID),
	})
	return linked, translate(op, err)
}

// SetImportedParent links an imported backup to what it builds on, once that is in the catalogue too,
// and reports whether it did.
func (q *Queries) SetImportedParent(ctx context.Context, id, parentID string) (bool, error) {
	op := "link execution " + id + " to its parent"
	for _, one := range []string{id, parentID} {
		if err := checkID(op, one); err != nil {
			return false, err
		}
	}
	n, err := q.q.SetImportedParent(ctx, dbgen.SetImportedParentParams{ID: id, ParentID: parentID})
	return n > 0, translate(op, err)
}

// importedNames is how many names ImportDatasource tries.
const importedNames = 100

// ImportDatasource makes the datasource of an imported backup under its own id: disabled and without
// a connection, as its manifest knows none. A name that is taken gets an addition. Run it in a
// transaction. Errors: DuplicateError when the name was taken meanwhile.
func (q *Queries) ImportDatasource(ctx context.Context, id, name string, kind domain.DatasourceType, pool string) (Datasource, error) {
	op := "import datasource " + id
	if err := checkID(op, id); err != nil {
		return Datasource{}, err
	}
	free := name
	for n := 1; n <= importedNames; n++ {
		taken, err := q.q.DatasourceNameTaken(ctx, free)
		if err != nil {
			return Datasource{}, translate(op, err)
		}
		if !taken {
			return q.CreateDatasource(ctx, Datasource{ID: id, Name: free, Type: kind, Pool: pool})
		}
		free = name + " (imported)"
		if n > 1 {
			free = fmt.Sprintf("%s (imported %d)", name, n)
		}
	}
	return Datasource{}, &DuplicateError{Field: "name"}
}

// FindExecution is GetExecution with false for one that is not there.
func (q *Queries) FindExecution(ctx context.Context, id string) (e Execution, found bool, err error) {
	e, err = q.GetExecution(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return e, false, nil
	}
	return e, err == nil, err
}

func idOrNil(id string) *string {
	if !isID(id) {
		return nil
	}
	return &id
}
