package database

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestVersionsAreFoundInWhatProgramsSay(t *testing.T) {
	for said, want := range map[string]string{
		"*** zstd command line interface 64-bits v1.5.4, by Yann Collet ***": "1.5.4",
		"v1.1.1\n":    "1.1.1",
		"(unknown)\n": "(unknown)",
	} {
		require.Equal(t, want, versionIn(said))
	}
}

func startServer(t *testing.T) *Server {
	t.Helper()
	// Not t.TempDir: as root, Postgres runs as another user, who must get in.
	dir, err := os.MkdirTemp("", "dataguardian-bench-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	server, err := Start(t.Context(), filepath.Join(dir, "postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func TestTheShopIsTheSameEachTimeAndChangesByAHundredth(t *testing.T) {
	server := startServer(t)
	number := func(name, query string) (value int64) {
		t.Helper()
		require.NoError(t, server.with(t.Context(), name, func(conn *pgx.Conn) error { return conn.QueryRow(t.Context(), query).Scan(&value) }))
		return value
	}
	const content = `SELECT sum(hashtext(t::text)::bigint) FROM (SELECT id, lines FROM orders UNION ALL SELECT id, payload FROM events UNION ALL SELECT id, email FROM customers) t`

	var sums []int64
	var shop *Shop
	for _, name := range []string{"one", "two"} {
		var err error
		shop, err = server.Shop(t.Context(), name, 4*mib)
		require.NoError(t, err)
		sums = append(sums, number(name, content))
	}
	require.Equal(t, sums[0], sums[1])

	orders := number("two", "SELECT count(*) FROM orders")
	require.NoError(t, shop.Append(t.Context()))
	require.Equal(t, orders+orders/100, number("two", "SELECT count(*) FROM orders"))

	require.NoError(t, shop.Update(t.Context(), 1))
	require.InDelta(t, orders/100, number("two", "SELECT count(*) FROM orders WHERE status = 'changed'"), float64(orders/200))
	// In place: the order of the pages is still that of the ids.
	require.Zero(t, number("two", `SELECT count(*) FROM (SELECT (ctid::text::point)[0] AS page, lag((ctid::text::point)[0]) OVER (ORDER BY id) AS before FROM orders) p WHERE page < before`))
}

func TestRandomBytesAreAsManyAsAskedFor(t *testing.T) {
	server := startServer(t)
	const size = 9<<20 + 5
	require.NoError(t, server.Random(t.Context(), "random", size))
	var stored int64
	require.NoError(t, server.with(t.Context(), "random", func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT sum(length(lo_get(content))) FROM attachments").Scan(&stored)
	}))
	require.EqualValues(t, size, stored)
}
