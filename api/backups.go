package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// StoredAt says where a backup is.
type StoredAt struct {
	StorageLocationID string                       `json:"storage_location_id"`
	Name              string                       `json:"name"`
	Type              domain.StorageLocationType   `json:"type"`
	Status            domain.StorageLocationStatus `json:"status"`
	Pool              string                       `json:"pool"`
	ManifestPath      string                       `json:"manifest_path"`
	Primary           bool                         `json:"primary" doc:"It was made there; the others are copies"`
	DamagedObjects    int64                        `json:"damaged_objects" doc:"Objects there that a check found damaged, and that are not healed"`
}

// Backup is a completed backup that can be restored.
type Backup struct {
	ExecutionID         string               `json:"execution_id" format:"uuid"`
	JobID               *string              `json:"job_id"`
	DatasourceID        *string              `json:"datasource_id"`
	BackupType          domain.BackupType    `json:"backup_type"`
	SizeBytes           int64                `json:"size_bytes"`
	CompressedSizeBytes int64                `json:"compressed_size_bytes"`
	FinishedAt          *time.Time           `json:"finished_at"`
	Pinned              bool                 `json:"pinned"`
	Encrypted           bool                 `json:"encrypted"`
	Verification        *domain.Verification `json:"verification" doc:"null when it was not verified"`
	StoredAt            []StoredAt           `json:"stored_at" nullable:"false"`
}

// BackedUpDatasource is a datasource with its newest backup.
type BackedUpDatasource struct {
	DatasourceID string                `json:"datasource_id" format:"uuid"`
	Name         string                `json:"name"`
	Type         domain.DatasourceType `json:"type"`
	LastBackup   *Backup               `json:"last_backup" doc:"null when it has none"`
}

// RestoreTarget is a datasource that a backup may be restored into.
type RestoreTarget struct {
	DatasourceID       string                `json:"datasource_id" format:"uuid"`
	Name               string                `json:"name"`
	Type               domain.DatasourceType `json:"type"`
	Pool               string                `json:"pool" doc:"Must be that of the storage location"`
	Database           string                `json:"database" doc:"Default target_database"`
	ConfirmationPhrase string                `json:"confirmation_phrase" doc:"What a real restore into it asks for"`
}

func (s *server) registerBackups() {
	tags, path := []string{"Backups and restore"}, "/api/backups"
	read := requires(auth.BackupsRead)
	register(s, read, huma.Operation{
		OperationID: "list-backed-up-datasources", Method: http.MethodGet, Path: path + "/datasources", Tags: tags,
		Summary: "Datasources with their newest backup",
	}, s.listBackedUp)
	register(s, read, huma.Operation{
		OperationID: "list-backups", Method: http.MethodGet, Path: path + "/datasources/{id}", Tags: tags,
		Summary: "Restorable backups of a datasource", Errors: []int{http.StatusNotFound},
	}, s.listBackups)
	register(s, read, huma.Operation{
		OperationID: "list-restore-targets", Method: http.MethodGet, Path: path + "/restore-targets", Tags: tags,
		Summary: "Datasources that can be restored into",
	}, s.listRestoreTargets)
	s.registerBackupDownload(tags)
	s.registerBackupFiles(tags)
}

func (s *server) listBackedUp(ctx context.Context, in *Paging) (*body[page[BackedUpDatasource]], error) {
	rows, next, err := s.db.ListDatasources(ctx, in.page())
	if err != nil {
		return nil, err
	}
	newest, err := s.db.NewestBackups(ctx, idsOf(rows, func(d db.Datasource) string { return d.ID }))
	if err != nil {
		return nil, err
	}
	views, err := s.viewBackups(ctx, newest)
	if err != nil {
		return nil, err
	}
	of := make(map[string]*Backup, len(views))
	for i := range views {
		of[*views[i].DatasourceID] = &views[i]
	}
	items := make([]BackedUpDatasource, len(rows))
	for i, row := range rows {
		items[i] = BackedUpDatasource{DatasourceID: row.ID, Name: row.Name, Type: row.Type, LastBackup: of[row.ID]}
	}
	return &body[page[BackedUpDatasource]]{page[BackedUpDatasource]{items, next}}, nil
}

func (s *server) listBackups(ctx context.Context, in *struct {
	ByID
	Paging
}) (*body[page[Backup]], error) {
	if _, err := s.db.GetDatasource(ctx, in.ID); err != nil {
		return nil, missing(err, "datasource", in.ID)
	}
	rows, next, err := s.db.ListExecutions(ctx, restorable(in.ID), in.page())
	if err != nil {
		return nil, err
	}
	items, err := s.viewBackups(ctx, rows)
	if err != nil {
		return nil, err
	}
	return &body[page[Backup]]{page[Backup]{items, next}}, nil
}

func (s *server) listRestoreTargets(ctx context.Context, in *Paging) (*body[page[RestoreTarget]], error) {
	rows, next, err := s.db.ListDatasources(ctx, in.page())
	if err != nil {
		return nil, err
	}
	items := make([]RestoreTarget, 0, len(rows))
	for _, row := range rows {
		if !row.Enabled || !domain.SupportedDatasource(row.Type) {
			continue
		}
		items = append(items, RestoreTarget{
			DatasourceID: row.ID, Name: row.Name, Type: row.Type, Pool: row.Pool,
			Database: row.Config.Target(row.Type), ConfirmationPhrase: restorePhrase(row.Name),
		})
	}
	return &body[page[RestoreTarget]]{page[RestoreTarget]{items, next}}, nil
}

func restorable(datasourceID string) db.ExecutionFilter {
	return db.ExecutionFilter{DatasourceID: datasourceID, Operation: domain.OperationBackup, Status: domain.Completed, Kept: true}
}

// viewBackups are rows as clients see them, with where each is.
func (s *server) viewBackups(ctx context.Context, rows []db.Execution) ([]Backup, error) {
	places, err := s.db.PlacesOf(ctx, idsOf(rows, func(row db.Execution) string { return row.ID }))
	if err != nil {
		return nil, err
	}
	views := make([]Backup, len(rows))
	for i, row := range rows {
		views[i] = viewBackup(row, places[row.ID])
	}
	return views, nil
}

func viewBackup(row db.Execution, at []db.Place) Backup {
	options := row.Metadata.Options
	out := Backup{
		ExecutionID: row.ID, JobID: row.JobID, DatasourceID: row.DatasourceID, BackupType: row.BackupType,
		SizeBytes: row.SizeBytes, CompressedSizeBytes: row.CompressedSizeBytes, FinishedAt: row.FinishedAt, Pinned: row.Pinned,
		Encrypted: options == nil || options.Encrypted(), Verification: row.Metadata.Verification, StoredAt: []StoredAt{},
	}
	if row.StorageLocationID == nil {
		return out
	}
	for _, place := range at {
		out.StoredAt = append(out.StoredAt, StoredAt{
			StorageLocationID: place.StorageLocationID, Name: place.Name, Type: place.Type, Status: place.Status, Pool: place.Pool,
			ManifestPath: place.ManifestPath, Primary: place.IsPrimary, DamagedObjects: place.Damaged,
		})
	}
	return out
}
