package integration

import (
	"context"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
	"github.com/dataguardian/dataguardian/worker"
)

// toldOf lists the notifications about something on the shared platform, the oldest first.
func toldOf(t *testing.T, where string, args ...any) []string {
	t.Helper()
	return shared.toldOf(t, where, args...)
}

func (p *platform) toldOf(t *testing.T, where string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.catalogue)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	found, err := conn.Query(t.Context(), `SELECT type::text FROM notifications WHERE `+where+` ORDER BY created_at, id`, args...)
	require.NoError(t, err)
	types, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return types
}

func TestAPostgresThatStopsAndStartsIsToldOnceAtEachEnd(t *testing.T) {
	i := newIsland(t) // a whole run checks everything of a platform
	pool := strings.ReplaceAll(unique(t), "_", "-")
	nobody := pool + "-nobody"
	stop, err := i.startWorker(worker.Options{Pools: []string{pool}})
	require.NoError(t, err)
	t.Cleanup(stop)
	dir := filepath.Join(i.dir, pool)
	server, err := postgres.Start(t.Context(), postgres.Options{DataDir: dir, NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	address, err := url.Parse(server.DatabaseURL("postgres"))
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	datasource, err := i.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: pool, Type: domain.Postgres, Pool: pool, ConnectionConfig: domain.ConnectionConfig{
			Host: address.Hostname(), Port: port, Database: "postgres", Username: address.User.Username(), Password: server.Password(),
		},
	})
	require.NoError(t, err)
	unserved, err := i.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: nobody, Type: domain.StorageLocal, Pool: nobody, Config: domain.StorageConfig{Path: t.TempDir()},
	})
	require.NoError(t, err)

	// A whole run, while the server comes and goes. It waits a minute for a worker of the other pool.
	whole, err := contract.CheckHealth.Start(t.Context(), i.dialled, temporal.StartWorkflowOptions{
		ID: "health-" + pool, TaskQueue: contract.SystemTaskQueue,
	}, contract.Nothing{})
	require.NoError(t, err)
	check := func(want domain.HealthCheckStatus, status domain.DatasourceStatus) {
		t.Helper()
		result, err := i.owner.TestDatasource(t.Context(), datasource.ID)
		require.NoError(t, err)
		require.Equal(t, want, result.Status, result.Message)
		read, err := i.owner.Datasources.Get(t.Context(), datasource.ID)
		require.NoError(t, err)
		require.Equal(t, status, read.Status)
	}
	check(domain.HealthOK, domain.DatasourceHealthy)
	require.Eventually(t, func() bool {
		checks, err := i.owner.DatasourceChecks(t.Context(), datasource.ID)
		return err == nil && len(checks) == 2
	}, patience, 50*time.Millisecond, "the run has come to it")
	require.NoError(t, server.Stop(t.Context()))
	check(domain.HealthUnreachable, domain.DatasourceWarning)
	require.Empty(t, i.toldOf(t, `entity_id = $1`, datasource.ID), "one failure is told to nobody")
	for range 3 {
		check(domain.HealthUnreachable, domain.DatasourceCritical)
	}
	server, err = postgres.Start(t.Context(), postgres.Options{DataDir: dir, Port: port, NoSync: true})
	require.NoError(t, err)
	for range 2 {
		check(domain.HealthOK, domain.DatasourceHealthy)
	}
	require.Equal(t, []string{"connection_lost", "connection_restored"}, i.toldOf(t, `entity_id = $1`, datasource.ID))
	checks, err := i.owner.DatasourceChecks(t.Context(), datasource.ID)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(checks), 7)

	var report contract.HealthReport
	require.NoError(t, whole.Get(t.Context(), &report))
	require.Contains(t, report.Pools, pool)
	require.Contains(t, report.Unserved, nobody)
	require.Empty(t, i.toldOf(t, `entity_id = $1`, unserved.ID), "that nobody looks is not the location's fault")
	health, err := i.owner.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, "critical", health.Status)
	for _, p := range health.Pools {
		if p.Pool == nobody {
			require.False(t, p.Served)
			require.Contains(t, p.Message, "No worker serves pool "+nobody)
		}
	}
}
