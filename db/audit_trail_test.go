package db_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

// TestARestrictedRoleOnlyAppendsToTheAuditTrail runs what docs/restricted-role.sql says, then works as that
// role.
func TestARestrictedRoleOnlyAppendsToTheAuditTrail(t *testing.T) {
	owner := dbtest.URL(t)
	d := dbtest.Open(t, owner)
	require.NoError(t, d.SeedAccess(t.Context(), testRoles))
	role := "app_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	dbtest.Execute(t, owner, `CREATE ROLE `+role+` LOGIN PASSWORD 'restricted'`)
	script, err := os.ReadFile(filepath.Join("..", "docs", "restricted-role.sql"))
	require.NoError(t, err)
	for _, statement := range strings.Split(strings.ReplaceAll(string(script), `:"role"`, role), ";\n") {
		if strings.TrimSpace(statement) != "" {
			dbtest.Execute(t, owner, statement)
		}
	}
	address, err := url.Parse(owner)
	require.NoError(t, err)
	address.User = url.UserPassword(role, "restricted")
	restricted := address.String()

	app := dbtest.Open(t, restricted)
	require.NoError(t, db.Migrate(t.Context(), restricted), "there is nothing left to migrate")
	require.NoError(t, app.SeedAccess(t.Context(), testRoles))
	_, err = app.CreateOwner(t.Context(), db.User{Email: "owner@example.org", PasswordHash: "hash"})
	require.NoError(t, err)
	user, err := app.CreateUser(t.Context(), db.User{Email: "ana@example.org", IsActive: true})
	require.NoError(t, err)
	require.NoError(t, app.AddAudit(t.Context(), db.AuditEntry{ActorID: &user.ID, ActorName: "ana@example.org", Action: "test", Resource: "test"}))
	newJob(t, app, "orders")
	require.NoError(t, app.DeleteUser(t.Context(), user.ID), "the entry keeps its actor's name and loses the id")

	for _, statement := range []string{
		"UPDATE audit_logs SET action = 'forged'", "DELETE FROM audit_logs", "TRUNCATE audit_logs", "TRUNCATE users CASCADE",
		"ALTER TABLE audit_logs DISABLE TRIGGER ALL", "DROP TRIGGER audit_logs_append_only ON audit_logs", "DROP TABLE audit_logs",
		"SET session_replication_role = replica", "DELETE FROM goose_db_version",
		"CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
	} {
		require.Error(t, attempt(t, restricted, statement), statement)
	}
	require.Equal(t, []string{"ana@example.org test true"}, rows(t, owner, "SELECT actor_name || ' ' || action || ' ' || (actor_id IS NULL) FROM audit_logs"))
}

func TestAResetPasswordNeedsNoMasterKey(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	owner := newOwner(t, d)
	_, err := d.CreateSession(t.Context(), db.Session{UserID: owner.ID, TokenHash: [32]byte{1}, ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	_, err = db.ResetPassword(t.Context(), url, db.PasswordReset{Email: "nobody@example.org", PasswordHash: "new"})
	require.ErrorIs(t, err, db.ErrNotFound)
	done, err := db.ResetPassword(t.Context(), url, db.PasswordReset{Email: "OWNER@example.org", PasswordHash: "new", Actor: "command line"})
	require.NoError(t, err)
	require.EqualValues(t, 1, done.SessionsEnded)
	now, err := d.UserByID(t.Context(), owner.ID)
	require.NoError(t, err)
	require.Equal(t, "new", now.PasswordHash)
	require.Equal(t, owner.Version+1, now.Version)
	require.Equal(t, []string{"command line user.password_reset"}, rows(t, url, "SELECT actor_name || ' ' || action FROM audit_logs"))
}

// TestTheOwnerOfTheDatabaseMayTakeOldEntriesAway runs what docs/operations.md says for that.
func TestTheOwnerOfTheDatabaseMayTakeOldEntriesAway(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	require.NoError(t, d.AddAudit(t.Context(), db.AuditEntry{ActorName: "a", Action: "new", Resource: "test"}))
	dbtest.Execute(t, url, `INSERT INTO audit_logs (id, actor_name, action, resource, created_at) VALUES (gen_random_uuid(), 'a', 'old', 'test', '2020-01-01')`)
	page, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	require.NoError(t, err)
	_, said, found := strings.Cut(string(page), "`BEGIN; ALTER TABLE audit_logs")
	require.True(t, found)
	said, _, found = strings.Cut("ALTER TABLE audit_logs"+said, "COMMIT;`")
	require.True(t, found)
	for statement := range strings.SplitSeq(said, ";") {
		if strings.TrimSpace(statement) != "" {
			dbtest.Execute(t, url, statement)
		}
	}
	require.Equal(t, []string{"new"}, rows(t, url, "SELECT action FROM audit_logs"))
	require.ErrorContains(t, attempt(t, url, "DELETE FROM audit_logs"), "append-only")
}
