package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// DatasourceDocument is what a client writes of a datasource.
type DatasourceDocument struct {
	Name             string                  `json:"name" doc:"Unique" maxLength:"200"`
	Type             domain.DatasourceType   `json:"type" enum:"postgres,mysql,mariadb,mongodb,sqlserver,sqlite,files" doc:"It can not be changed later"`
	Enabled          *bool                   `json:"enabled,omitempty" doc:"Default true; a disabled datasource is neither backed up nor restored into"`
	Tags             []string                `json:"tags,omitempty" maxItems:"50" doc:"Kept trimmed, in lower case, each once"`
	Pool             string                  `json:"pool,omitempty" maxLength:"63" doc:"Workers that reach it; default: default"`
	ConnectionConfig domain.ConnectionConfig `json:"connection_config"`
}

// Datasource is a datasource as clients see it.
type Datasource struct {
	ID                string                  `json:"id" format:"uuid"`
	Name              string                  `json:"name"`
	Type              domain.DatasourceType   `json:"type"`
	Enabled           bool                    `json:"enabled"`
	Tags              []string                `json:"tags" nullable:"false"`
	Pool              string                  `json:"pool"`
	ConnectionConfig  domain.ConnectionConfig `json:"connection_config" doc:"Secrets show as ********"`
	Status            domain.DatasourceStatus `json:"status" enum:"healthy,warning,critical,unknown"`
	LastHealthCheckAt *time.Time              `json:"last_health_check_at"`
	Version           int64                   `json:"version"`
	CreatedAt         time.Time               `json:"created_at"`
	UpdatedAt         time.Time               `json:"updated_at"`
}

func (s *server) registerDatasources() {
	tags, path := []string{"Datasources"}, "/api/datasources"
	read, write := requires(auth.DatasourcesRead), requires(auth.DatasourcesWrite)
	register(s, read, huma.Operation{
		OperationID: "list-datasources", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List datasources",
	}, s.listDatasources)
	register(s, write, huma.Operation{
		OperationID: "create-datasource", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Create a datasource",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createDatasource)
	register(s, read, huma.Operation{
		OperationID: "get-datasource", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a datasource",
		Errors: []int{http.StatusNotFound},
	}, s.getDatasource)
	register(s, write, huma.Operation{
		OperationID: "update-datasource", Method: http.MethodPatch, Path: path + "/{id}", Tags: tags, Summary: "Change a datasource",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.updateDatasource)
	register(s, write, huma.Operation{
		OperationID: "delete-datasource", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a datasource",
		Description:   "One with jobs or kept backups is not deleted: 409 names what holds it.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.deleteDatasource)
	register(s, mayTest(auth.DatasourcesWrite), testOperation("datasource", path, tags), s.testDatasource)
	s.registerDatasourceLooks(tags, path)
}

func (s *server) listDatasources(ctx context.Context, in *Paging) (*body[page[Datasource]], error) {
	rows, next, err := s.db.ListDatasources(ctx, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewDatasource), nil
}

func (s *server) getDatasource(ctx context.Context, in *ByID) (*versioned[Datasource], error) {
	row, err := s.db.GetDatasource(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "datasource", in.ID)
	}
	return &versioned[Datasource]{etag(row.Version), viewDatasource(row)}, nil
}

func (s *server) createDatasource(ctx context.Context, in *body[DatasourceDocument]) (*created[Datasource], error) {
	var row db.Datasource
	row.Type = in.Body.Type
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.CreateDatasource(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "datasource.create", "datasource", row.ID, map[string]any{"after": viewDatasource(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &created[Datasource]{"/api/datasources/" + row.ID, etag(row.Version), viewDatasource(row)}, nil
}

func (s *server) updateDatasource(ctx context.Context, in *patchOf[DatasourceDocument]) (*versioned[Datasource], error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var row db.Datasource
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if row, err = q.GetDatasource(ctx, in.ID); err != nil {
			return missing(err, "datasource", in.ID)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before := row
		document := documentOfDatasource(row)
		if err := in.Body.ApplyTo(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		if err := keepPool(ctx, q, before.Pool, row.Pool, func(j db.BackupJob) bool { return j.DatasourceID == before.ID }); err != nil {
			return err
		}
		if err := s.keepTags(ctx, "update-datasource", before.Tags, row.Tags); err != nil {
			return err
		}
		if row, err = q.UpdateDatasource(ctx, row); err != nil {
			return raced(err, wanted)
		}
		secrets := replaced("connection_config", before.Config.Secrets(), row.Config.Secrets())
		changes, err := changed(viewDatasource(before), viewDatasource(row), secrets...)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "datasource.update", "datasource", row.ID, changes))
	})
	if err != nil {
		return nil, err
	}
	return &versioned[Datasource]{etag(row.Version), viewDatasource(row)}, nil
}

func (s *server) deleteDatasource(ctx context.Context, in *DeleteInput) (*empty, error) {
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		row, err := deletable(ctx, q, in, db.DatasourcesTable, q.GetDatasource, func(r db.Datasource) int64 { return r.Version })
		if err != nil {
			return missing(err, "datasource", in.ID)
		}
		if err := q.DeleteDatasource(ctx, in.ID); err != nil {
			return missing(err, "datasource", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "datasource.delete", "datasource", row.ID, map[string]any{"before": viewDatasource(row)}))
	})
}

// fill checks the document and writes it into row, which holds the stored datasource, or only its
// type when it is new.
func (d DatasourceDocument) fill(row *db.Datasource) domain.Invalid {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	if d.Pool == "" {
		d.Pool = domain.DefaultPool
	}
	domain.CheckPool(&v, d.Pool)
	checkTags(&v, d.Tags)
	switch {
	case d.Type != row.Type:
		v.Add("type", "can not be changed from %s to %s; create another datasource", row.Type, d.Type)
	case !domain.SupportedDatasource(d.Type):
		v.Add("type", "is %s, which this version does not back up yet", d.Type)
	default:
		d.ConnectionConfig.Normalize(d.Type)
		v = append(v, unmaskConnection(&d.ConnectionConfig, row.Config).Under("connection_config")...)
		v = append(v, d.ConnectionConfig.Validate(d.Type).Under("connection_config")...)
	}
	row.Name, row.Pool = strings.TrimSpace(d.Name), d.Pool
	row.Enabled = d.Enabled == nil || *d.Enabled
	row.Tags, row.Config = domain.NormalizeTags(d.Tags), d.ConnectionConfig
	return v
}

func documentOfDatasource(row db.Datasource) DatasourceDocument {
	return DatasourceDocument{
		Name: row.Name, Type: row.Type, Enabled: &row.Enabled, Tags: row.Tags, Pool: row.Pool,
		ConnectionConfig: maskedConnection(row.Config),
	}
}

func viewDatasource(row db.Datasource) Datasource {
	return Datasource{
		ID: row.ID, Name: row.Name, Type: row.Type, Enabled: row.Enabled, Tags: domain.NormalizeTags(row.Tags), Pool: row.Pool,
		ConnectionConfig: maskedConnection(row.Config), Status: row.Status, LastHealthCheckAt: row.LastHealthCheckAt,
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

const maxTag = 63 // bytes

func checkTags(v *domain.Invalid, tags []string) {
	for _, tag := range tags {
		if len(tag) > maxTag || strings.ContainsFunc(tag, unicode.IsControl) {
			v.Add("tags", "has one of more than %d bytes or with a control character", maxTag)
			return
		}
	}
}

// keepPool refuses to move a datasource or storage location to another pool while a job uses it:
// no worker would reach both ends any more.
func keepPool(ctx context.Context, q *db.Queries, from, to string, uses func(db.BackupJob) bool) error {
	if from == to {
		return nil
	}
	page := db.Page{Limit: db.MaxPageSize}
	for {
		jobs, next, err := q.ListBackupJobs(db.Unscoped(ctx), page)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(jobs, uses); i >= 0 {
			return invalidField("pool", "can not be changed from %s to %s while backup job %q uses it: the job's workers must reach both ends", from, to, jobs[i].Name)
		}
		if next == "" {
			return nil
		}
		page.Cursor = next
	}
}

func poolsDiffer(datasource db.Datasource, storage db.StorageLocation) string {
	return fmt.Sprintf("storage location %q is in pool %s, but datasource %q is in pool %s; one worker must reach both, so give both the same pool",
		storage.Name, storage.Pool, datasource.Name, datasource.Pool)
}
