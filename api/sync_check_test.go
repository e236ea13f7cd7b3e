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
