package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestASyncWithAScheduleReplacesWhatTheRunBeforeBrought(t *testing.T) {
	end := func(name string) db.Datasource {
		return db.Datasource{Name: name, Type: domain.Postgres, Pool: "default", Config: domain.ConnectionConfig{Host: name, Port: 5432, Database: "shop"}}
	}
	ends := syncEnds{from: end("production"), into: end("staging"), storage: &db.StorageLocation{Pool: "default"}}
	job := db.SyncJob{SourceDatasourceID: "a", TargetDatasourceID: "b", ScheduleCron: "@daily"}
	require.ErrorContains(t, ends.check(job), "drop_existing")
	job.DropExisting = true
	require.Empty(t, ends.check(job))
	job.DropExisting, job.ScheduleCron = false, ""
	require.Empty(t, ends.check(job), "one run by hand into an empty database")
}

func TestASyncThatWouldMaskAnotherDatabaseThanTheNewOneIsRefused(t *testing.T) {
	end := func(host, database string) db.Datasource {
		return db.Datasource{Name: host, Type: domain.MariaDB, Pool: "default", Config: domain.ConnectionConfig{Host: host, Port: 3306, Database: database}}
	}
	ends := syncEnds{from: end("production", "shop"), into: end("staging", "shop_staging"), storage: &db.StorageLocation{Pool: "default"}}
	job := db.SyncJob{SourceDatasourceID: "a", TargetDatasourceID: "b"}
	for _, database := range []string{"shop", "shop_staging"} {
		job.SyncOptions.PostRestoreSQL = []string{"SELECT 1", "UPDATE " + database + ".customers SET name = 'x'"}
		refused := ends.check(job)
		require.ErrorContains(t, refused, "sync_options.post_restore_sql[1]")
		require.ErrorContains(t, refused, "names database \""+database+"\"")
	}
	job.SyncOptions.PostRestoreSQL = []string{"UPDATE customers SET name = 'x', mail = concat(id, '@shop.example')"}
	require.Empty(t, ends.check(job))
}

// TestASyncsOptionsAreThoseOfItsSource: an argument that no job may give would reach the tool.
func TestASyncsOptionsAreThoseOfItsSource(t *testing.T) {
	end := func(name string) db.Datasource {
		return db.Datasource{Name: name, Type: domain.Postgres, Pool: "default", Config: domain.ConnectionConfig{Host: name, Port: 5432, Database: "shop"}}
	}
	ends := syncEnds{from: end("production"), into: end("staging"), storage: &db.StorageLocation{Pool: "default"}}
	job := db.SyncJob{SourceDatasourceID: "a", TargetDatasourceID: "b"}
	job.BackupOptions.ExtraArgs = []string{"--no-comments"}
	require.Empty(t, ends.check(job))
	job.BackupOptions.ExtraArgs = []string{"--file=/etc/cron.d/x"}
	require.ErrorContains(t, ends.check(job), "backup_options.extra_args")
}
