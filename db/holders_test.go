package db_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

// asked counts statements.
type asked struct{ n atomic.Int64 }

func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	a.n.Add(1)
	return ctx
}

func (a *asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// What a user may do is remembered by each API process, and holds nowhere a moment longer than its change is committed.
func TestEveryChangeOfAccessCountsAtOnceInEveryProcess(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	owner := newOwner(t, d)
	session, token := sha256.Sum256([]byte("session")), sha256.Sum256([]byte("token"))
	ends := time.Now().Add(time.Hour)
	user, err := d.CreateUser(t.Context(), db.User{Email: "ana@example.org", PasswordHash: "hash", IsActive: true})
	require.NoError(t, err)
	_, err = d.CreateSession(t.Context(), db.Session{UserID: user.ID, TokenHash: session, ExpiresAt: ends})
	require.NoError(t, err)
	_, err = d.CreateAPIToken(t.Context(), db.APIToken{UserID: user.ID, Name: "ci", TokenHash: token, Permissions: []string{"datasources.read"}, ExpiresAt: ends})
	require.NoError(t, err)

	counted := &asked{}
	other, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: dbtest.Key(), Tracer: counted})
	require.NoError(t, err)
	t.Cleanup(other.Close)
	// may is what the other process says, of the session and of the token, and how many statements it asked.
	may := func() (permissions []string, limits *db.Limits, statements int64) {
		before := counted.n.Load()
		signedIn, err := other.SessionByTokenHash(t.Context(), session)
		require.NoError(t, err)
		used, err := other.APITokenByHash(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, signedIn.Permissions, used.UserPermissions)
		require.Equal(t, signedIn.Limits, used.Limits)
		require.Equal(t, signedIn.User, used.User)
		require.Equal(t, []string{"datasources.read"}, used.Token.Permissions)
		return signedIn.Permissions, signedIn.Limits, counted.n.Load() - before
	}
	permissions, limits, statements := may()
	require.Empty(t, permissions)
	require.Nil(t, limits)
	require.Equal(t, int64(3), statements, "what the session's user may do, the token's may")
	_, _, statements = may()
	require.Equal(t, int64(2), statements, "nothing was changed")
	dbtest.Execute(t, url, "DELETE FROM user_roles WHERE user_id = $1", user.ID) // it has none
	dbtest.Execute(t, url, "UPDATE users SET is_owner = is_owner, name = 'Ana'")
	_, _, statements = may()
	require.Equal(t, int64(2), statements, "a statement that changes nothing is no change")

	role, readonly := uuid.NewString(), rows(t, url, "SELECT id::text FROM roles WHERE name = 'readonly'")[0]
	change := func(sql string, args ...any) {
		t.Helper()
		dbtest.Execute(t, url, sql, args...)
		_, _, statements := may()
		require.Equal(t, int64(3), statements, "asked anew after %s", sql)
	}
	is := func(want ...string) {
		t.Helper()
		permissions, _, _ := may()
		require.ElementsMatch(t, want, permissions)
	}
	change("INSERT INTO user_roles (user_id, role_id) VALUES ($1, $2)", user.ID, readonly)
	is("datasources.read")
	change("INSERT INTO permissions (id, name) VALUES ($1, 'vaults.open')", role)
	change("INSERT INTO role_permissions (role_id, permission_id) VALUES ($1, $2)", readonly, role)
	is("datasources.read", "vaults.open")
	change("UPDATE permissions SET name = 'vaults.close' WHERE name = 'vaults.open'")
	is("datasources.read", "vaults.close")
	change("DELETE FROM permissions WHERE name = 'vaults.close'") // and of the role, by a cascade
	is("datasources.read")
	change("INSERT INTO access_scopes (id, role_id, permission, effect, resource, tag) VALUES ($1, $2, '*', 'deny', 'datasource', 'prod')", role, readonly)
	_, limits, _ = may()
	require.Len(t, limits.Rules, 1)
	require.Equal(t, map[string][]string{readonly: {"datasources.read"}}, limits.Grants)
	change("UPDATE access_scopes SET tag = 'staging'")
	_, limits, _ = may()
	require.Equal(t, "staging", *limits.Rules[0].Tag)
	change("UPDATE users SET is_owner = false")
	change("UPDATE users SET is_owner = true WHERE id = $1", user.ID)
	_, limits, _ = may()
	require.Nil(t, limits, "an owner has none")
	change("UPDATE users SET is_owner = false")
	change("DELETE FROM access_scopes")
	change("DELETE FROM user_roles WHERE user_id = $1", user.ID)
	is()
	change("INSERT INTO user_roles (user_id, role_id) VALUES ($1, $2)", user.ID, readonly)
	change("TRUNCATE user_roles")
	is()

	// What is not committed, or never will be, is not seen; nor is what came of it mixed up with what is committed later.
	taken := errors.New("taken back")
	require.ErrorIs(t, d.InTx(t.Context(), func(q *db.Queries) error {
		_, err := q.CreateScopeRule(t.Context(), db.ScopeRule{UserID: &user.ID, Permission: "*", Effect: "deny", Resource: "datasource", Tag: &user.Email})
		require.NoError(t, err)
		_, limits, statements := may()
		require.Nil(t, limits)
		require.Equal(t, int64(2), statements)
		return taken
	}), taken)
	_, limits, _ = may()
	require.Nil(t, limits)

	// The count goes on although many rows become one, and nobody waits for a change that is not committed.
	require.NoError(t, d.InTx(t.Context(), func(q *db.Queries) error {
		for range 50 {
			_, err := q.CreateScopeRule(t.Context(), db.ScopeRule{UserID: &owner.ID, Permission: "*", Effect: "deny", Resource: "datasource", Tag: new(uuid.NewString())})
			require.NoError(t, err)
			change("INSERT INTO access_scopes (id, user_id, permission, effect, resource, tag) VALUES (gen_random_uuid(), $1, '*', 'deny', 'datasource', $2)", user.ID, uuid.NewString())
		}
		return nil
	}))
	_, limits, _ = may()
	require.Len(t, limits.Rules, 50)
	change("DELETE FROM access_scopes")
	require.LessOrEqual(t, dbtest.Count(t, url, "SELECT count(*) FROM access_changes"), 21)
}
