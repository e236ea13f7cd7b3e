package db_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

var testRoles = map[string][]string{
	db.AdminRole: {"datasources.read", "datasources.write", "access.manage"},
	"readonly":   {"datasources.read"},
}

func newOwner(t *testing.T, d *db.DB) db.User {
	t.Helper()
	require.NoError(t, d.SeedAccess(t.Context(), testRoles))
	owner, err := d.CreateOwner(t.Context(), db.User{Email: "Owner@Example.org", Name: "Olga", PasswordHash: "hash"})
	require.NoError(t, err)
	return owner
}

func TestOneOfManyBecomesTheOwner(t *testing.T) {
	for name, email := range map[string]func(i int) string{
		"with one address":    func(int) string { return "owner@example.org" },
		"with many addresses": func(i int) string { return fmt.Sprintf("owner%d@example.org", i) },
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.New(t)
			require.NoError(t, d.SeedAccess(t.Context(), testRoles))
			won := 0
			for _, err := range together(20, func(i int) error {
				_, err := d.CreateOwner(t.Context(), db.User{Email: email(i), PasswordHash: "hash"})
				return err
			}) {
				if err == nil {
					won++
					continue
				}
				require.ErrorIs(t, err, db.ErrSetupDone)
			}
			require.Equal(t, 1, won)
			has, err := d.HasOwner(t.Context())
			require.NoError(t, err)
			require.True(t, has)
		})
	}
}

func TestTheOwnerIsFoundAndMayDoEverything(t *testing.T) {
	d := dbtest.New(t)
	owner := newOwner(t, d)
	byEmail, err := d.UserByEmail(t.Context(), "OWNER@example.ORG")
	require.NoError(t, err)
	require.Equal(t, owner, byEmail)
	byID, err := d.UserByID(t.Context(), owner.ID)
	require.NoError(t, err)
	require.True(t, byID.IsOwner && byID.IsActive)
	permissions, err := d.UserPermissions(t.Context(), owner.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"access.manage", "datasources.read", "datasources.write"}, permissions)
	roles, err := d.UserRoles(t.Context(), owner.ID)
	require.NoError(t, err)
	require.Equal(t, []string{db.AdminRole}, roles)
	_, err = d.UserByEmail(t.Context(), "nobody@example.org")
	require.ErrorIs(t, err, db.ErrNotFound)
}

func TestSeedingSetsSystemRolesExactly(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	newOwner(t, d)
	dbtest.Execute(t, url, "INSERT INTO roles (id, name) VALUES ($1, 'custom')", uuid.NewString())
	dbtest.Execute(t, url, "INSERT INTO role_permissions (role_id, permission_id) SELECT r.id, p.id FROM roles r, permissions p WHERE r.name IN ('custom', 'readonly') ON CONFLICT DO NOTHING")
	for _, err := range together(6, func(int) error { return d.SeedAccess(t.Context(), testRoles) }) {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"admin 3", "custom 3", "readonly 1"},
		rows(t, url, "SELECT r.name || ' ' || count(*) FROM roles r JOIN role_permissions p ON p.role_id = r.id GROUP BY r.name ORDER BY 1"))
}

func TestASessionIsFoundByItsHashUntilItIsEnded(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	owner := newOwner(t, d)
	hash := sha256.Sum256([]byte("token"))
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	created, err := d.CreateSession(t.Context(), db.Session{UserID: owner.ID, TokenHash: hash, IP: "127.0.0.1", UserAgent: "curl", ExpiresAt: ends})
	require.NoError(t, err)

	found, err := d.SessionByTokenHash(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, created, found.Session)
	require.Equal(t, ends, found.Session.ExpiresAt)
	require.Equal(t, owner, found.User)
	require.Contains(t, found.Permissions, "access.manage")

	require.NoError(t, d.TouchSession(t.Context(), created.ID, ends.Add(time.Hour)))
	list, _, err := d.ListSessions(t.Context(), owner.ID, db.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, ends.Add(time.Hour), list[0].ExpiresAt)

	require.ErrorIs(t, d.DeleteSession(t.Context(), uuid.NewString(), created.ID), db.ErrNotFound, "nobody ends another's session")
	require.NoError(t, d.TouchSession(t.Context(), created.ID, time.Now().Add(-time.Minute)))
	list, _, err = d.ListSessions(t.Context(), owner.ID, db.Page{})
	require.NoError(t, err)
	require.Empty(t, list)
	n, err := d.DeleteExpiredSessions(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	_, err = d.SessionByTokenHash(t.Context(), hash)
	require.ErrorIs(t, err, db.ErrNotFound)
}
