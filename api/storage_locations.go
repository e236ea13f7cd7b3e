package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// StorageLocationDocument is what a client writes of a storage location.
type StorageLocationDocument struct {
	Name      string                     `json:"name" doc:"Unique" maxLength:"200"`
	Type      domain.StorageLocationType `json:"type" enum:"local,s3,ssh,minio,backblaze" doc:"It can not be changed later"`
	Enabled   *bool                      `json:"enabled,omitempty" doc:"Default true; a disabled location takes no backups and gives none back"`
	IsDefault bool                       `json:"is_default,omitempty" doc:"At most one is; making this the default takes it from the other"`
	Tags      []string                   `json:"tags,omitempty" maxItems:"50" doc:"Kept trimmed, in lower case, each once"`
	Pool      string                     `json:"pool,omitempty" maxLength:"63" doc:"Workers that reach it; default: default"`
	Config    domain.StorageConfig       `json:"config"`
}

// StorageLocation is a storage location as clients see it.
type StorageLocation struct {
	ID               string                       `json:"id" format:"uuid"`
	Name             string                       `json:"name"`
	Type             domain.StorageLocationType   `json:"type"`
	Enabled          bool                         `json:"enabled"`
	IsDefault        bool                         `json:"is_default"`
	Tags             []string                     `json:"tags" nullable:"false"`
	Pool             string                       `json:"pool"`
	Config           domain.StorageConfig         `json:"config"`
	Status           domain.StorageLocationStatus `json:"status" enum:"healthy,full,unreachable"`
	AvailableSpaceGB *float64                     `json:"available_space_gb" doc:"In units of 10^9 bytes; null unknown"`
	Version          int64                        `json:"version"`
	CreatedAt        time.Time                    `json:"created_at"`
	UpdatedAt        time.Time                    `json:"updated_at"`
}

func (s *server) registerStorageLocations() {
	tags, path := []string{"Storage locations"}, "/api/storage-locations"
	read, write := requires(auth.StorageRead), requires(auth.StorageWrite)
	register(s, read, huma.Operation{
		OperationID: "list-storage-locations", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List storage locations",
	}, s.listStorageLocations)
	register(s, write, huma.Operation{
		OperationID: "create-storage-location", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Create a storage location",
		Description:   "For an SSH server without `host_key` nothing is created: 422 shows the server's key and its fingerprint, to be compared and sent.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createStorageLocation)
	register(s, read, huma.Operation{
		OperationID: "get-storage-location", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a storage location",
		Errors: []int{http.StatusNotFound},
	}, s.getStorageLocation)
	register(s, write, huma.Operation{
		OperationID: "update-storage-location", Method: http.MethodPatch, Path: path + "/{id}", Tags: tags, Summary: "Change a storage location",
		Description: "A new path must hold what the old one held: backups that are kept are looked for there.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.updateStorageLocation)
	register(s, write, documentApproval(s, huma.Operation{
		OperationID: "delete-storage-location", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a storage location",
		Description:   "One with jobs or kept backups is not deleted: 409 names what holds it.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}), s.deleteStorageLocation)
	register(s, mayTest(auth.StorageWrite), testOperation("storage-location", path, tags), s.testStorageLocation)
}

func (s *server) listStorageLocations(ctx context.Context, in *Paging) (*body[page[StorageLocation]], error) {
	rows, next, err := s.db.ListStorageLocations(ctx, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewStorage), nil
}

func (s *server) getStorageLocation(ctx context.Context, in *ByID) (*versioned[StorageLocation], error) {
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	return &versioned[StorageLocation]{etag(row.Version), viewStorage(row)}, nil
}

func (s *server) createStorageLocation(ctx context.Context, in *body[StorageLocationDocument]) (*created[StorageLocation], error) {
	var row db.StorageLocation
	row.Type = in.Body.Type
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	if err := s.confirmHostKey(ctx, row); err != nil {
		return nil, err
	}
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.CreateStorageLocation(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "storage_location.create", "storage_location", row.ID, map[string]any{"after": viewStorage(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &created[StorageLocation]{"/api/storage-locations/" + row.ID, etag(row.Version), viewStorage(row)}, nil
}

func (s *server) updateStorageLocation(ctx context.Context, in *patchOf[StorageLocationDocument]) (*versioned[StorageLocation], error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var row db.StorageLocation
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if row, err = q.GetStorageLocation(ctx, in.ID); err != nil {
			return missing(err, "storage location", in.ID)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before := row
		document := documentOfStorage(row)
		if err := in.Body.ApplyTo(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		if before.Config.HostKey != "" && row.Config.HostKey == "" {
			return invalidField("config.host_key", "is required; POST /api/storage-locations/test shows what the server's key is now")
		}
		if err := keepPool(ctx, q, before.Pool, row.Pool, func(j db.BackupJob) bool {
			return j.StorageLocationID == before.ID || slices.Contains(j.BackupOptions.Targets(), before.ID)
		}); err != nil {
			return err
		}
		if err := s.keepTags(ctx, "update-storage-location", before.Tags, row.Tags); err != nil {
			return err
		}
		if row, err = q.UpdateStorageLocation(ctx, row); err != nil {
			return raced(err, wanted)
		}
		secrets := replaced("config", before.Config.Secrets(), row.Config.Secrets())
		changes, err := changed(viewStorage(before), viewStorage(row), secrets...)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "storage_location.update", "storage_location", row.ID, changes))
	})
	if err != nil {
		return nil, err
	}
	return &versioned[StorageLocation]{etag(row.Version), viewStorage(row)}, nil
}

type deleteStorageInput struct {
	DeleteInput
	Approved
}

func (s *server) deleteStorageLocation(ctx context.Context, in *deleteStorageInput) (*empty, error) {
	return nil, s.orAsk(ctx, s.db.InTx(ctx, func(q *db.Queries) error {
		row, err := deletable(ctx, q, &in.DeleteInput, db.StorageLocationsTable, q.GetStorageLocation, func(r db.StorageLocation) int64 { return r.Version })
		if err != nil {
			return missing(err, "storage location", in.ID)
		}
		if err := q.DeleteStorageLocation(ctx, in.ID); err != nil {
			return missing(err, "storage location", in.ID)
		}
		changes := map[string]any{"before": viewStorage(row)}
		if err := approved(ctx, q, in.ApprovalID, irreversible{
			action: domain.ApproveDeleteStorageLocation, permission: auth.StorageWrite, resource: "storage_location", resourceID: row.ID,
			summary: fmt.Sprintf("Delete storage location %q", row.Name),
		}, changes); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "storage_location.delete", "storage_location", row.ID, changes))
	}))
}

// fill checks the document and writes it into row, which holds the stored location, or only its
// type when it is new.
func (d StorageLocationDocument) fill(row *db.StorageLocation) domain.Invalid {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	if d.Pool == "" {
		d.Pool = domain.DefaultPool
	}
	domain.CheckPool(&v, d.Pool)
	checkTags(&v, d.Tags)
	switch {
	case d.Type != row.Type:
		v.Add("type", "can not be changed from %s to %s; create another storage location", row.Type, d.Type)
	default:
		d.Config.Normalize(d.Type)
		v = append(v, unmaskStorage(&d.Config, row.Config).Under("config")...)
		v = append(v, d.Config.Validate(d.Type).Under("config")...)
	}
	row.Name, row.Pool, row.IsDefault = strings.TrimSpace(d.Name), d.Pool, d.IsDefault
	row.Enabled = d.Enabled == nil || *d.Enabled
	row.Tags, row.Config = domain.NormalizeTags(d.Tags), d.Config
	return v
}

func documentOfStorage(row db.StorageLocation) StorageLocationDocument {
	return StorageLocationDocument{
		Name: row.Name, Type: row.Type, Enabled: &row.Enabled, IsDefault: row.IsDefault,
		Tags: row.Tags, Pool: row.Pool, Config: maskedStorage(row.Config),
	}
}

func viewStorage(row db.StorageLocation) StorageLocation {
	return StorageLocation{
		ID: row.ID, Name: row.Name, Type: row.Type, Enabled: row.Enabled, IsDefault: row.IsDefault,
		Tags: domain.NormalizeTags(row.Tags), Pool: row.Pool, Config: maskedStorage(row.Config),
		Status: row.Status, AvailableSpaceGB: row.AvailableSpaceGB,
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}
