package db_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestPruningRemovesWhatHasExpiredOrIsOldAndNothingElse(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	datasource, err := d.CreateDatasource(t.Context(), db.Datasource{Name: "a", Type: domain.Postgres, Enabled: true})
	require.NoError(t, err)
	user := uuid.NewString()
	dbtest.Execute(t, url, `INSERT INTO users (id, email) VALUES ($1, 'a@example.com')`, user)
	dbtest.Execute(t, url, `INSERT INTO health_checks (id, datasource_id, status, checked_at)
		SELECT gen_random_uuid(), $1, 'ok', now() - n * interval '1 day' FROM generate_series(1, 40) n`, datasource.ID)
	dbtest.Execute(t, url, `INSERT INTO notifications (id, type, severity, entity_type, title, created_at)
		SELECT gen_random_uuid(), 'cleanup_completed', 'info', 'system', 'x', now() - n * interval '10 days' FROM generate_series(1, 12) n`)
	dbtest.Execute(t, url, `INSERT INTO api_tokens (id, user_id, name, token_hash, permissions, expires_at)
		SELECT gen_random_uuid(), $1, 'token ' || n, sha256(n::text::bytea), '{"dashboard.read"}', now() - n * interval '20 days' FROM generate_series(0, 2) n`, user)
	removed, err := d.Prune(t.Context(), domain.DefaultPrune(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, map[string]int64{
		"health_checks": 11, "notifications": 4, "api_tokens": 1,
		"auth_sessions": 0, "oidc_handoffs": 0, "idempotency_keys": 0, "storage_health_checks": 0,
	}, removed)
}
