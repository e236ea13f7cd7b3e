package api

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/internal/auth"
)

// configKind is a kind of thing that is configuration. What is written of it goes through the operations of the API: the
// same schema, the same checks, the same audit entries.
type configKind struct {
	section     string // of the document
	title       string
	read, write auth.Permission
	// refersAs is the field that names one of the kind elsewhere, without its _id; "" when nothing does.
	refersAs []string
	schema   *huma.Schema // of a new one
	patch    *huma.Schema // of a change
	// list reads the views of a page that the caller may see.
	list func(ctx context.Context, paging *Paging) (views []json.RawMessage, next string, err error)
	// create and update give the view of the outcome.
	create func(ctx context.Context, document []byte) (json.RawMessage, error)
	update func(ctx context.Context, id string, patch []byte) (json.RawMessage, error)
}

// configKinds lists them, each after those that it refers to.
func (s *server) configKinds() []configKind {
	datasources := kindOf(s, s.listDatasources, s.createDatasource, s.updateDatasource)
	datasources.section, datasources.title, datasources.refersAs = "datasources", "datasource", []string{"datasource"}
	datasources.read, datasources.write = auth.DatasourcesRead, auth.DatasourcesWrite

	storages := kindOf(s, s.listStorageLocations, s.createStorageLocation, s.updateStorageLocation)
	storages.section, storages.title, storages.refersAs = "storage_locations", "storage location", []string{"storage_location"}
	storages.read, storages.write = auth.StorageRead, auth.StorageWrite

	jobs := kindOf(s, s.listBackupJobs, s.createBackupJob, s.updateBackupJob)
	jobs.section, jobs.title, jobs.refersAs = "backup_jobs", "backup job", []string{"backup_job"}
	jobs.read, jobs.write = auth.BackupJobsRead, auth.BackupJobsWrite
	return []configKind{datasources, storages, jobs}
}

// kindOf makes a kind of a resource's operations. Doc is what is written, View what is shown.
func kindOf[Doc, View any](
	s *server,
	list func(context.Context, *Paging) (*body[page[View]], error),
	create func(context.Context, *body[Doc]) (*created[View], error),
	update func(context.Context, *patchOf[Doc]) (*versioned[View], error),
) configKind {
	registry := s.api.OpenAPI().Components.Schemas
	return configKind{
		schema: registry.Schema(reflect.TypeFor[Doc](), true, ""),
		patch:  Patch[Doc]{}.Schema(registry),
		list: func(ctx context.Context, paging *Paging) ([]json.RawMessage, string, error) {
			out, err := list(ctx, paging)
			if err != nil {
				return nil, "", err
			}
			views := make([]json.RawMessage, len(out.Body.Items))
			for i, item := range out.Body.Items {
				if views[i], err = json.Marshal(item); err != nil {
					return nil, "", fmt.Errorf("encode: %w", err)
				}
			}
			return views, out.Body.NextCursor, nil
		},
		create: func(ctx context.Context, document []byte) (json.RawMessage, error) {
			var in body[Doc]
			if err := json.Unmarshal(document, &in.Body); err != nil {
				return nil, invalidField("", "does not fit: %s", err)
			}
			out, err := create(ctx, &in)
			if err != nil {
				return nil, err
			}
			return json.Marshal(out.Body)
		},
		update: func(ctx context.Context, id string, patch []byte) (json.RawMessage, error) {
			out, err := update(ctx, &patchOf[Doc]{ID: id, Body: Patch[Doc]{raw: patch}})
			if err != nil {
				return nil, err
			}
			return json.Marshal(out.Body)
		},
	}
}
