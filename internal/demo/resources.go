package demo

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// The names of what the demo registers. Another demo finds them by name and uses them again.
const (
	datasourceName = "demo shop" // a restore into it is confirmed with this name
	storageName    = "demo disk"
	jobName        = "demo shop, verified in full"
)

// ensureDatasource registers the sample database. Its port may have changed since the last demo.
func (d *demo) ensureDatasource(ctx context.Context) (id string, err error) {
	document := client.DatasourceDocument{Name: datasourceName, Type: domain.Postgres, ConnectionConfig: d.sample.connectionConfig()}
	known, err := d.api.Datasources.List(ctx)
	if err != nil {
		return "", err
	}
	for _, one := range known {
		if one.Name == document.Name {
			_, err := d.api.Datasources.Update(ctx, one.ID, map[string]any{"connection_config": document.ConnectionConfig})
			return one.ID, err
		}
	}
	created, err := d.api.Datasources.Create(ctx, document)
	return created.ID, err
}

// ensureStorage registers the directory for the backups.
func (d *demo) ensureStorage(ctx context.Context) (id string, err error) {
	document := client.StorageLocationDocument{
		Name: storageName, Type: domain.StorageLocal, Config: domain.StorageConfig{Path: d.opts.BackupDir},
	}
	known, err := d.api.StorageLocations.List(ctx)
	if err != nil {
		return "", err
	}
	for _, one := range known {
		if one.Name == document.Name {
			d.opts.BackupDir = one.Config.Path // of an older demo: below its data directory
			return one.ID, nil
		}
	}
	created, err := d.api.StorageLocations.Create(ctx, document)
	return created.ID, err
}

// ensureJob registers the job.
func (d *demo) ensureJob(ctx context.Context, datasource, storage string) (id string, err error) {
	known, err := d.api.BackupJobs.List(ctx)
	if err != nil {
		return "", err
	}
	for _, one := range known {
		if one.Name == jobName {
			return one.ID, nil
		}
	}
	created, err := d.api.BackupJobs.Create(ctx, client.BackupJobDocument{
		Name: jobName, DatasourceID: datasource, StorageLocationID: storage,
		BackupOptions: domain.BackupOptions{Verify: domain.VerifyFull},
	})
	return created.ID, err
}
