package api

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/internal/auth"
)

// configKind is a kind of thing that is configuration. What is written of it goes through the operations of the API: the
// same schema, the same checks, the same audit entries.
type configKind struct {
	section     string // of the document
	title       string
	read, write auth.Permission
	operations  operations
	// refersAs is the field that names one of the kind elsewhere, without its _id; "" when nothing does.
	refersAs []string
	// key is what one is known by in a document, nil its name; keyed is the field that is wrong when there is none.
	key    func(object map[string]any) string
	keyed  string
	schema *huma.Schema // of a new one
	patch  *huma.Schema // of a change
	// list reads the views of a page that the caller may see.
	list func(ctx context.Context, paging *Paging) (views []json.RawMessage, next string, err error)
	// create and update give the view of the outcome.
	create func(ctx context.Context, document []byte) (json.RawMessage, error)
	update func(ctx context.Context, id string, patch []byte) (json.RawMessage, error)
}

// operations are the ids of those that a kind goes through: what limits their callers limits a document.
type operations struct{ list, create, update string }

// configKinds lists them, each after those that it refers to.
func (s *server) configKinds() []configKind {
	datasources := configKind{
		section: "datasources", title: "datasource", refersAs: []string{"datasource", "source_datasource", "target_datasource"}, read: auth.DatasourcesRead, write: auth.DatasourcesWrite,
		operations: operations{"list-datasources", "create-datasource", "update-datasource"},
	}
	storages := configKind{
		section: "storage_locations", title: "storage location", refersAs: []string{"storage_location"}, read: auth.StorageRead, write: auth.StorageWrite,
		operations: operations{"list-storage-locations", "create-storage-location", "update-storage-location"},
	}
	jobs := configKind{
		section: "backup_jobs", title: "backup job", refersAs: []string{"backup_job"}, read: auth.BackupJobsRead, write: auth.BackupJobsWrite,
		operations: operations{"list-backup-jobs", "create-backup-job", "update-backup-job"},
	}
	syncs := configKind{
		section: "db_sync_jobs", title: "sync job", read: auth.DBSyncJobsRead, write: auth.DBSyncJobsWrite,
		operations: operations{"list-sync-jobs", "create-sync-job", "update-sync-job"},
	}
	drills := configKind{
		section: "restore_drill_jobs", title: "drill job", read: auth.RestoreDrillJobsRead, write: auth.RestoreDrillJobsWrite,
		operations: operations{"list-drill-jobs", "create-drill-job", "update-drill-job"},
	}
	channels := configKind{
		section: "notification_channels", title: "notification channel", read: auth.NotificationsRead, write: auth.SystemWrite,
		operations: operations{"list-notification-channels", "create-notification-channel", "update-notification-channel"},
	}
	templates := configKind{
		section: "notification_templates", title: "notification template", read: auth.NotificationsRead, write: auth.SystemWrite, key: templateKey, keyed: "channel",
		operations: operations{"list-notification-templates", "create-notification-template", "create-notification-template"},
	}
	return []configKind{
		kindOf(s, datasources, s.listDatasources, s.createDatasource, s.updateDatasource),
		kindOf(s, storages, s.listStorageLocations, s.createStorageLocation, s.updateStorageLocation),
		kindOf(s, jobs, s.listBackupJobs, s.createBackupJob, s.updateBackupJob),
		kindOf(s, syncs, func(ctx context.Context, in *Paging) (*body[page[SyncJob]], error) {
			return s.listSyncJobs(ctx, &listSyncJobsInput{Paging: *in})
		}, s.createSyncJob, s.updateSyncJob),
		kindOf(s, drills, func(ctx context.Context, in *Paging) (*body[page[DrillJob]], error) {
			return s.listDrillJobs(ctx, &listDrillJobsInput{Paging: *in})
		}, s.createDrillJob, s.updateDrillJob),
		kindOf(s, channels, s.listChannels, s.createChannel, s.updateChannel),
		kindOf(s, templates, s.templatesInUse, s.addTemplate, s.replaceTemplate),
	}
}

// keyOf is what an object is known by, "" when it does not say.
func (k configKind) keyOf(object map[string]any) string {
	if k.key != nil {
		return k.key(object)
	}
	name, _ := object["name"].(string)
	return strings.TrimSpace(name)
}

// kindOf makes a kind of a resource's operations. Doc is what is written, View what is shown.
func kindOf[Doc, View any](
	s *server, kind configKind,
	list func(context.Context, *Paging) (*body[page[View]], error),
	create func(context.Context, *body[Doc]) (*created[View], error),
	update func(context.Context, *patchOf[Doc]) (*versioned[View], error),
) configKind {
	registry := s.api.OpenAPI().Components.Schemas
	kind.schema, kind.patch = registry.Schema(reflect.TypeFor[Doc](), true, ""), Patch[Doc]{}.Schema(registry)
	kind.list = func(ctx context.Context, paging *Paging) ([]json.RawMessage, string, error) {
		ctx, err := s.asOperation(ctx, kind.operations.list, kind.read)
		if err != nil {
			return nil, "", err
		}
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
	}
	kind.create = func(ctx context.Context, document []byte) (json.RawMessage, error) {
		ctx, err := s.asOperation(ctx, kind.operations.create, kind.write)
		if err != nil {
			return nil, err
		}
		var in body[Doc]
		if err := json.Unmarshal(document, &in.Body); err != nil {
			return nil, invalidField("", "does not fit: %s", err)
		}
		lowerIDs(&in)
		out, err := create(ctx, &in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out.Body)
	}
	kind.update = func(ctx context.Context, id string, patch []byte) (json.RawMessage, error) {
		ctx, err := s.asOperation(ctx, kind.operations.update, kind.write)
		if err != nil {
			return nil, err
		}
		out, err := update(ctx, &patchOf[Doc]{ID: id, Body: Patch[Doc]{raw: patch}})
		if err != nil {
			return nil, err
		}
		return json.Marshal(out.Body)
	}
	return kind
}

// asOperation is ctx as the operation would have it if the caller had called it: with the permission, and under its limits.
func (s *server) asOperation(ctx context.Context, operation string, p auth.Permission) (context.Context, error) {
	if !principalOf(ctx).Grants.Allows(p) {
		return ctx, s.refuse(ctx, operation, []auth.Permission{p})
	}
	return s.limitedTo(ctx, operation, []auth.Permission{p})
}
