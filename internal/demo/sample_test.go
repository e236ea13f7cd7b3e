package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// startPostgres starts a private server for one test.
func startPostgres(t *testing.T) *postgres.Server {
	t.Helper()
	// As root the server runs as another user, who can not enter the directories of t.TempDir.
	dir, err := os.MkdirTemp("", "demo")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o711))
	server, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(dir, "postgres"), NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	return server
}

// execute runs a statement as the superuser of the named database.
func execute(t *testing.T, s *sample, database, statement string) {
	t.Helper()
	conn, err := s.connect(t.Context(), database, false)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.PgConn().Exec(t.Context(), statement).ReadAll()
	require.NoError(t, err)
}

// copySample makes the restored database as a perfect restore would.
func copySample(t *testing.T, s *sample) {
	t.Helper()
	execute(t, s, "postgres", "CREATE DATABASE "+restoredDatabase+" OWNER "+sampleRole+" TEMPLATE "+sampleDatabase)
}

func TestTheProofOfTheDemoCanFail(t *testing.T) {
	s, err := newSample(startPostgres(t).URL(), "secret'with a quote")
	require.NoError(t, err)
	size, err := s.create(t.Context(), 20)
	require.NoError(t, err)
	require.InDelta(t, 20e6, size, 4e6, "the size of the sample database")

	for _, test := range []struct{ name, change, want string }{
		{"a perfect copy passes", "", ""},
		{"one changed note fails", "UPDATE shop.orders SET note = note || '.' WHERE id = 2", "table shop.orders"},
		{"one missing picture fails", "DELETE FROM shop.pictures WHERE product_id = 1010", "table shop.pictures"},
		{"one NULL for an empty string fails", "UPDATE shop.orders SET note = NULL WHERE id = 1", "table shop.orders"},
		{"a trigger that fired during the load fails", `INSERT INTO "Back Office".price_changes (product_id) VALUES (1)`, "price_changes"},
		{"a view that answers otherwise fails", "CREATE OR REPLACE FUNCTION shop.revenue(of_category int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT 1.0'", "function shop.revenue(integer)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			execute(t, s, "postgres", "DROP DATABASE IF EXISTS "+restoredDatabase)
			copySample(t, s)
			if test.change != "" {
				execute(t, s, restoredDatabase, test.change)
			}
			var out strings.Builder
			d := &demo{opts: Options{Out: &out}, sample: s}
			err := d.prove(t.Context())
			if test.want == "" {
				require.NoError(t, err)
				require.Contains(t, out.String(), "Everything is equal")
				return
			}
			require.ErrorIs(t, err, ErrDifferent)
			require.ErrorContains(t, err, test.want)
			if strings.HasPrefix(test.want, "table") {
				require.Contains(t, out.String(), "NO")
			}
		})
	}
}

func TestTheSampleIsTheSameEveryTime(t *testing.T) {
	s, err := newSample(startPostgres(t).URL(), "secret")
	require.NoError(t, err)
	_, err = s.create(t.Context(), 12)
	require.NoError(t, err)
	execute(t, s, "postgres", "ALTER DATABASE "+sampleDatabase+" RENAME TO first")

	_, err = s.create(t.Context(), 12)
	require.NoError(t, err)
	execute(t, s, "postgres", "ALTER DATABASE first RENAME TO "+restoredDatabase)
	require.NoError(t, (&demo{opts: Options{Out: &strings.Builder{}}, sample: s}).prove(t.Context()))

	// And once more over what is there: the last demo's databases are dropped.
	_, err = s.create(t.Context(), 12)
	require.NoError(t, err)
}

func TestTheDemoDropsNoDatabaseOfSomebodyElse(t *testing.T) {
	s, err := newSample(startPostgres(t).URL(), "secret")
	require.NoError(t, err)
	execute(t, s, "postgres", "CREATE DATABASE "+sampleDatabase)

	_, err = s.create(t.Context(), 12)
	require.ErrorContains(t, err, "belongs to")
	require.ErrorContains(t, err, "rename it")
}

func TestCredentialsAreMadeOnceAndReadableByTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo", "credentials.json")
	first, created, err := loadCredentials(path)
	require.NoError(t, err)
	require.True(t, created)
	require.GreaterOrEqual(t, len(first.Password), 20)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	second, created, err := loadCredentials(path)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, first, second)

	require.NoError(t, os.WriteFile(path, []byte(`{"email":"x"}`), 0o600))
	_, _, err = loadCredentials(path)
	require.ErrorContains(t, err, "not complete")
}
