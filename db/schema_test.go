package db_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The tables and enums of data-model.pt.md: the contract with everything outside.
var (
	modelTables = []string{
		"datasources", "storage_locations", "backup_jobs", "backup_executions", "database_sync_jobs",
		"database_sync_executions", "backup_chunks", "health_checks", "storage_health_checks", "notifications",
		"notification_templates", "system_settings", "users", "roles", "permissions", "user_roles",
		"role_permissions", "auth_sessions", "audit_logs",
	}
	modelEnums = map[string][]string{
		"datasource_type":          {"postgres", "mysql", "mariadb", "mongodb", "sqlserver", "sqlite", "files"},
		"datasource_status":        {"healthy", "warning", "critical", "unknown"},
		"storage_location_type":    {"local", "s3", "ssh", "minio", "backblaze"},
		"storage_location_status":  {"healthy", "full", "unreachable"},
		"execution_status":         {"queued", "running", "completed", "failed", "cancelled"},
		"backup_type":              {"full", "incremental", "differential"},
		"health_check_status":      {"ok", "timeout", "auth_failed", "unreachable", "error"},
		"notification_type":        {"backup_success", "backup_failed", "connection_lost", "connection_restored", "storage_full", "storage_unreachable", "health_degraded", "cleanup_completed"},
		"notification_severity":    {"info", "warning", "critical"},
		"notification_entity_type": {"datasource", "backup_job", "storage_location", "system"},
		"alert_channel":            {"smtp", "webhook", "whatsapp"},
	}
	// addedValues follow those of the model; later migrations brought them.
	addedValues = map[string][]string{
		"notification_type":        {"restore_success", "restore_failed", "sync_failed", "restore_drill_success", "restore_drill_failed", "sync_recovered"},
		"notification_entity_type": {"database_sync_job", "restore_drill_job"},
	}
	// addedEnums are no part of the model.
	addedEnums = map[string][]string{}
	// The relationships: column, and the table it refers to.
	modelRelations = map[string]string{
		"backup_jobs.datasource_id":                 "datasources",
		"backup_jobs.storage_location_id":           "storage_locations",
		"backup_executions.job_id":                  "backup_jobs",
		"backup_chunks.execution_id":                "backup_executions",
		"health_checks.datasource_id":               "datasources",
		"storage_health_checks.storage_location_id": "storage_locations",
		"user_roles.user_id":                        "users",
		"user_roles.role_id":                        "roles",
		"role_permissions.role_id":                  "roles",
		"role_permissions.permission_id":            "permissions",
		"auth_sessions.user_id":                     "users",
		"audit_logs.actor_id":                       "users",
	}
)

const (
	listTables = `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'`
	listEnums  = `SELECT DISTINCT t.typname::text FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid`
	listValues = `SELECT e.enumlabel::text FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typname = $1 ORDER BY e.enumsortorder`
	listKeys   = `SELECT c.conrelid::regclass || '.' || a.attname || ' ' || c.confrelid::regclass
		FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'`
	// A foreign key whose column begins no index makes deletions of its target scan the table.
	listUnindexedKeys = `SELECT c.conrelid::regclass || '.' || a.attname
		FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		WHERE c.contype = 'f' AND NOT EXISTS (
			SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)`
)

func TestTheSchemaIsTheDataModel(t *testing.T) {
	url := dbtest.URL(t)
	require.Subset(t, rows(t, url, listTables), modelTables)
	require.Len(t, rows(t, url, listEnums), len(modelEnums)+len(addedEnums))
	for name, values := range modelEnums {
		require.Equal(t, slices.Concat(values, addedValues[name]), rows(t, url, listValues, name), name)
	}
	for name, values := range addedEnums {
		require.Equal(t, values, rows(t, url, listValues, name), name)
	}
	keys := rows(t, url, listKeys)
	for column, target := range modelRelations {
		require.Contains(t, keys, column+" "+target)
	}
}

func TestEveryForeignKeyHasAnIndex(t *testing.T) {
	// backup_executions.parent_execution_id has a partial index that holds every row that names one.
	require.Equal(t, []string{"backup_executions.parent_execution_id"}, rows(t, dbtest.URL(t), listUnindexedKeys))
}

func TestMigrationsGoUpAndDownAndUpAgain(t *testing.T) {
	url := dbtest.EmptyURL(t)
	require.NoError(t, db.Migrate(t.Context(), url))
	before := rows(t, url, listTables)
	require.NoError(t, db.MigrateDown(t.Context(), url))
	require.Equal(t, []string{"goose_db_version"}, rows(t, url, listTables))
	require.Empty(t, rows(t, url, listEnums))
	require.Empty(t, rows(t, url, `SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace`))
	require.NoError(t, db.Migrate(t.Context(), url))
	require.ElementsMatch(t, before, rows(t, url, listTables))
}

func TestProcessesThatMigrateTogetherAllSucceed(t *testing.T) {
	url := dbtest.EmptyURL(t)
	for _, err := range together(8, func(int) error { return db.Migrate(t.Context(), url) }) {
		require.NoError(t, err)
	}
	require.Subset(t, rows(t, url, listTables), modelTables)
	dbtest.Open(t, url)
}

func TestADatabaseOfANewerBinaryIsRefused(t *testing.T) {
	url := dbtest.URL(t)
	dbtest.Execute(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)", db.SchemaVersion()+1)
	err := db.Migrate(t.Context(), url)
	require.ErrorIs(t, err, db.ErrSchemaNewer)
	require.Contains(t, failure.HintOf(err), "newer dataguardian")
	_, err = db.Open(t.Context(), db.Config{URL: url, MasterKey: dbtest.Key()})
	require.ErrorIs(t, err, db.ErrSchemaNewer)
}

func TestADatabaseThatWasNotMigratedIsRefused(t *testing.T) {
	_, err := db.Open(t.Context(), db.Config{URL: dbtest.EmptyURL(t), MasterKey: dbtest.Key()})
	require.ErrorIs(t, err, db.ErrSchemaOlder)
	require.Contains(t, failure.HintOf(err), "dataguardian migrate")
}

func TestAServerThatIsNotThereIsUnreachable(t *testing.T) {
	const nobody = "postgres://user:hidden-password@127.0.0.1:1/x?sslmode=disable"
	for _, err := range []error{
		db.Migrate(t.Context(), nobody),
		func() error {
			_, err := db.Open(t.Context(), db.Config{URL: nobody, MasterKey: dbtest.Key()})
			return err
		}(),
	} {
		require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
		require.NotContains(t, err.Error(), "hidden-password")
	}
}

func TestTheAuditLogIsAppendOnly(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	require.NoError(t, d.SeedAccess(t.Context(), map[string][]string{db.AdminRole: {"audit.read"}}))
	owner, err := d.CreateOwner(t.Context(), db.User{Email: "o@example.org", Name: "Olga"})
	require.NoError(t, err)
	require.NoError(t, d.AddAudit(t.Context(), db.AuditEntry{ActorID: &owner.ID, ActorName: "Olga", Action: "setup", Resource: "user"}))

	for _, statement := range []string{
		"UPDATE audit_logs SET action = 'forged'", "UPDATE audit_logs SET actor_id = NULL",
		"DELETE FROM audit_logs", "TRUNCATE audit_logs", "TRUNCATE users CASCADE",
	} {
		require.ErrorContains(t, attempt(t, url, statement), "append-only", statement)
	}

	dbtest.Execute(t, url, "DELETE FROM users")
	require.Equal(t, []string{"Olga setup true"}, rows(t, url, "SELECT actor_name || ' ' || action || ' ' || (actor_id IS NULL) FROM audit_logs"))
}
