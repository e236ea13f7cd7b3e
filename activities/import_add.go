package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
)

// unfitError is a backup that can not be in this catalogue as it is.
type unfitError struct{ reason string }

func (e unfitError) Error() string { return e.reason }

// add puts one backup with its chunks, and its datasource where that is new, into the catalogue. It
// reports whether the backup's parent is linked; one without a parent needs none.
func (i *storageImport) add(ctx context.Context, name archive.ManifestName, m *archive.Manifest, look *copyCheck) (linked bool, err error) {
	err = i.a.DB.InTx(ctx, func(q *db.Queries) error {
		if err := i.ensureDatasource(ctx, q, m); err != nil {
			return err
		}
		if linked, err = q.ImportExecution(ctx, i.execution(name, m, look.copy.ManifestSHA256), m.Parent); err != nil {
			return err
		}
		if err := addChunkRows(ctx, q, m, func(bool) bool { return true }); err != nil {
			return err
		}
		if err := q.RecordCheck(ctx, look.check()); err != nil {
			return err
		}
		// A deletion that ran beside this removed the manifest first, then the row: what is gone now
		// must not come back.
		_, err := i.store.Stat(ctx, name.Key)
		return err
	})
	return linked || m.Parent == "", err
}

// look finds out whether every object of a backup is there with its size, as after a backup that was just
// made. A manifest says what was stored, not what is left of it.
func (i *storageImport) look(ctx context.Context, c db.Copy, m *archive.Manifest) (*copyCheck, error) {
	look := &copyCheck{a: i.a, copy: c, location: i.location, store: i.store, mode: domain.VerifyQuick}
	var err error
	if look.found, err = archive.FindMissing(ctx, i.store, m, archive.DamageOptions{}); err != nil {
		return nil, err
	}
	look.note(m)
	if look.found.Count > 0 {
		err = look.stillThere(ctx)
	}
	return look, err
}

// lacks counts an incomplete backup and says what is wrong with it, "" for nothing.
func (i *storageImport) lacks(look *copyCheck) string {
	if look.found.Count == 0 {
		return ""
	}
	i.result.Incomplete++
	return "it is not whole: " + look.verification().Message
}

func (i *storageImport) ensureDatasource(ctx context.Context, q *db.Queries, m *archive.Manifest) error {
	known, err := q.GetDatasource(ctx, m.DatasourceID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		_, err = q.ImportDatasource(ctx, m.DatasourceID, m.DatasourceName, m.DatasourceType, i.location.Pool)
		return err
	case err != nil:
		return err
	case known.Type != m.DatasourceType:
		return unfitError{fmt.Sprintf("it is a %s backup, and its datasource %q is of type %s here", m.DatasourceType, known.Name, known.Type)}
	}
	return nil
}

// execution is the row of the backup as it was before it was lost, as far as its manifest tells. It
// has no job, so no retention policy counts or deletes it, and nothing builds on it.
func (i *storageImport) execution(name archive.ManifestName, m *archive.Manifest, sha256 string) db.Execution {
	options := m.Options
	added := (&backup{execution: db.Execution{ID: m.ExecutionID, Generation: m.Generation}}).usage(m)
	return db.Execution{
		ID: m.ExecutionID, DatasourceID: &m.DatasourceID, StorageLocationID: &i.location.ID, BackupType: m.BackupType,
		SizeBytes: m.PlainBytes(), CompressedSizeBytes: added.added, StartedAt: &m.StartedAt, FinishedAt: &m.FinishedAt,
		Generation: m.Generation, CreatedAt: name.Created,
		Metadata: domain.ExecutionMetadata{
			Operation: domain.OperationBackup, Trigger: domain.TriggerImport, ManifestPath: name.Key, ManifestSHA256: sha256,
			Databases: databases.Names(engineStreams(m)), ToolVersions: m.ToolVersions, Warnings: m.Warnings, Options: &options,
			ReusedChunks: added.reusedChunks, ReusedBytes: added.reused,
			ExecutionLogs: []domain.LogLine{{Time: time.Now().UTC(), Level: "info", Message: "imported from storage location " + i.location.Name}},
		},
	}
}
