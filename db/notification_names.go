package db

import (
	"context"
	"slices"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// addNames puts into the metadata of a notification what people call the things that it is about, and their ids: the job,
// the datasource or the source and target, the storage location. What is there already stays; what is gone has no name.
func (q *Queries) addNames(ctx context.Context, n *Notification) error {
	about := naming{q, n.Metadata}
	switch n.EntityType {
	case domain.EntityBackupJob:
		about.put("job_id", n.EntityID)
	case domain.EntitySyncJob:
		if job, err := q.GetSyncJob(Unscoped(ctx), n.EntityID); err == nil {
			about.put("job", job.Name)
			about.put("source_datasource_id", job.From())
			about.put("target_datasource_id", job.Into())
			about.putID("storage_location_id", job.StorageLocationID)
		} else if !isMissing(err) {
			return err
		}
	case domain.EntityDrillJob:
		if job, err := q.GetDrillJob(Unscoped(ctx), n.EntityID); err == nil {
			about.put("job", job.Name)
			about.put("datasource_id", job.DatasourceID)
			about.put("target_datasource_id", job.TargetDatasourceID)
		} else if !isMissing(err) {
			return err
		}
	case domain.EntityDatasource:
		about.put("datasource_id", n.EntityID)
	case domain.EntityStorageLocation:
		about.put("storage_location_id", n.EntityID)
	}
	for _, add := range []func(context.Context) error{about.addExecution, about.addJob, about.addDatasources, about.addStorage} {
		if err := add(ctx); err != nil {
			return err
		}
	}
	return nil
}

// naming is the metadata of one notification.
type naming struct {
	q *Queries
	m map[string]any
}

func (n naming) put(name, value string) {
	if _, there := n.m[name]; !there && value != "" {
		n.m[name] = value
	}
}

func (n naming) putID(name string, id *string) {
	if id != nil {
		n.put(name, *id)
	}
}

// id is a member of the metadata that is an id and whose thing has no name yet, else "".
func (n naming) id(name, named string) string {
	id, _ := n.m[name].(string)
	if _, there := n.m[named]; there || !isID(id) {
		return ""
	}
	return id
}

// has reports whether all of these members are there.
func (n naming) has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { _, there := n.m[name]; return !there })
}

// addExecution looks at the backup or restore; runs of syncs and drills are none.
func (n naming) addExecution(ctx context.Context) error {
	if n.has("job_id", "datasource_id", "storage_location_id") {
		return nil
	}
	for _, name := range []string{"execution_id", "backup_execution_id"} {
		id, _ := n.m[name].(string)
		if !isID(id) {
			continue
		}
		row, err := n.q.q.GetExecution(ctx, id)
		if err := translate("read the execution of a notification", err); isMissing(err) {
			continue
		} else if err != nil {
			return err
		}
		if name == "execution_id" {
			n.putID("job_id", row.JobID)
		}
		n.putID("datasource_id", row.DatasourceID)
		n.putID("storage_location_id", row.StorageLocationID)
	}
	return nil
}

func (n naming) addJob(ctx context.Context) error {
	id, _ := n.m["job_id"].(string)
	if !isID(id) || n.has("job", "datasource_id", "storage_location_id") {
		return nil
	}
	row, err := n.q.q.GetBackupJob(ctx, id)
	if err := translate("read the job of a notification", err); isMissing(err) {
		return nil
	} else if err != nil {
		return err
	}
	n.put("job", row.Name)
	n.put("datasource_id", row.DatasourceID)
	n.put("storage_location_id", row.StorageLocationID)
	return nil
}

func (n naming) addDatasources(ctx context.Context) error {
	for id, name := range map[string]string{"datasource_id": "datasource", "source_datasource_id": "source", "target_datasource_id": "target"} {
		id := n.id(id, name)
		if id == "" {
			continue
		}
		row, err := n.q.q.GetDatasource(ctx, id)
		if err := translate("read the datasource of a notification", err); err != nil && !isMissing(err) {
			return err
		}
		n.put(name, row.Name)
	}
	return nil
}

func (n naming) addStorage(ctx context.Context) error {
	id := n.id("storage_location_id", "storage")
	if id == "" {
		return nil
	}
	row, err := n.q.q.GetStorageLocation(ctx, id)
	if err := translate("read the storage location of a notification", err); err != nil && !isMissing(err) {
		return err
	}
	n.put("storage", row.Name)
	return nil
}
