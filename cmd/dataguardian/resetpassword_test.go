package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

const lostPassword, freshPassword = "a password that is lost", "a quite new password"

// installed is a data directory with a catalogue and its owner, who has a session and an API token.
func installed(t *testing.T) (dir string, server *postgres.Server, url string, owner db.User) {
	t.Helper()
	dir = openDirectory(t)
	server, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(dir, "postgres"), NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	url, err = server.EnsureDatabase(t.Context(), "dataguardian")
	require.NoError(t, err)
	require.NoError(t, db.Migrate(t.Context(), url))
	database := openCatalogue(t, url)
	defer database.Close()
	require.NoError(t, database.SeedAccess(t.Context(), auth.RoleNames()))
	passwords, err := auth.NewPasswords()
	require.NoError(t, err)
	hash, err := passwords.Hash(t.Context(), lostPassword)
	require.NoError(t, err)
	owner, err = database.CreateOwner(t.Context(), db.User{Email: "owner@example.com", PasswordHash: hash})
	require.NoError(t, err)
	_, err = database.CreateSession(t.Context(), db.Session{UserID: owner.ID, TokenHash: [32]byte{1}, ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	_, err = database.CreateAPIToken(t.Context(), db.APIToken{UserID: owner.ID, Name: "ci", TokenHash: [32]byte{2}, Permissions: []string{"datasources.read"}, ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	return dir, server, url, owner
}

func openCatalogue(t *testing.T, url string) *db.DB {
	t.Helper()
	key, err := db.ParseMasterKey("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	require.NoError(t, err)
	database, err := db.Open(t.Context(), db.Config{URL: url, MasterKey: key})
	require.NoError(t, err)
	return database
}

// requirePassword checks the owner's password, and how many sessions and tokens are left.
func requirePassword(t *testing.T, url, userID, password string, sessions, tokens int) {
	t.Helper()
	database := openCatalogue(t, url)
	defer database.Close()
	user, err := database.UserByID(t.Context(), userID)
	require.NoError(t, err)
	passwords, err := auth.NewPasswords()
	require.NoError(t, err)
	match, err := passwords.Matches(t.Context(), password, user.PasswordHash)
	require.NoError(t, err)
	require.True(t, match)
	open, _, err := database.ListSessions(t.Context(), userID, db.Page{})
	require.NoError(t, err)
	require.Len(t, open, sessions)
	left, err := database.CountAPITokens(t.Context(), userID)
	require.NoError(t, err)
	require.EqualValues(t, tokens, left)
}

func TestTheOwnerGetsBackIn(t *testing.T) {
	dir, server, url, owner := installed(t)
	home := "HOME=" + t.TempDir()
	reset := func(input string, environment []string, args ...string) outcome {
		return runWith(t, strings.NewReader(input), append([]string{home}, environment...), append([]string{"user", "reset-password"}, args...)...)
	}
	withURL := []string{"DATABASE_URL=" + url}

	out := reset(freshPassword+"\n", withURL, "nobody@example.com")
	require.Equal(t, exitFailed, out.code)
	require.Contains(t, out.stderr, "nobody@example.com")
	require.Equal(t, exitFailed, reset("short\n", withURL, "owner@example.com").code)
	require.Equal(t, exitFailed, reset("", withURL, "owner@example.com").code)
	require.Equal(t, exitFailed, reset(strings.Repeat("x", 5000)+"\n", withURL, "owner@example.com").code)
	require.Equal(t, exitUsage, reset(freshPassword, withURL).code)
	requirePassword(t, url, owner.ID, lostPassword, 1, 1)

	out = reset(freshPassword+"\r\n", withURL, "Owner@Example.com")
	require.Zero(t, out.code, out.stderr)
	require.NotContains(t, out.stdout+out.stderr, freshPassword)
	requirePassword(t, url, owner.ID, freshPassword, 0, 1)

	// The data directory of an `up` that does not run: the command starts the private Postgres.
	require.NoError(t, server.Stop(t.Context()))
	out = reset("one more new password", []string{"DATAGUARDIAN_DATA_DIR=" + dir}, "owner@example.com", "--revoke-tokens")
	require.Zero(t, out.code, out.stderr)
	require.Contains(t, out.stdout, "API tokens revoked: 1")
	again, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(dir, "postgres"), NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, again.Stop(t.Context())) }()
	url, err = again.EnsureDatabase(t.Context(), "dataguardian")
	require.NoError(t, err)
	requirePassword(t, url, owner.ID, "one more new password", 0, 0)
	entries, _, err := func() ([]db.AuditRecord, string, error) {
		database := openCatalogue(t, url)
		defer database.Close()
		return database.ListAudit(t.Context(), db.AuditFilter{Action: "user.password_reset"}, db.Page{})
	}()
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Contains(t, entries[0].ActorName, "command line")

	require.Equal(t, exitFailed, reset(freshPassword, []string{"DATAGUARDIAN_DATA_DIR=" + t.TempDir()}, "owner@example.com").code)
}
