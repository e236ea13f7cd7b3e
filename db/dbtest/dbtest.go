// Package dbtest gives tests fresh, migrated metadata databases on a real Postgres, which is
// started from the system's binaries once for each test binary. A test package uses it by
//
//	func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }
package dbtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// startTimeout bounds the start of the server and the making of the template.
const startTimeout = 2 * time.Minute

// template is migrated once; every fresh database is a copy of it, which takes some 50 ms.
const template = "dataguardian_template"

// shared is the one server of the test binary.
var shared struct {
	running atomic.Bool // Run was called
	once    sync.Once
	dir     string
	server  *postgres.Server
	err     error
	names   atomic.Int64
	copying sync.Mutex // Postgres copies a template one at a time
}

// Run runs the package's tests and then stops the server if one was started. It returns the exit
// code.
func Run(m *testing.M) int {
	shared.running.Store(true)
	code := m.Run()
	if err := stop(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "dbtest:", err)
		return max(code, 1)
	}
	return code
}

func stop() error {
	if shared.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := shared.server.Stop(ctx)
	if err != nil {
		return err
	}
	return os.RemoveAll(shared.dir)
}

// Server returns the running server, and fails the test when there can be none: a test that needs
// Postgres never skips.
func Server(t testing.TB) *postgres.Server {
	t.Helper()
	if !shared.running.Load() {
		t.Fatal("dbtest: add func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) } to this package")
	}
	shared.once.Do(func() { shared.err = start() })
	if shared.err != nil {
		t.Fatalf("dbtest: %v", shared.err)
	}
	return shared.server
}

func start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "dgdb-") // not t.TempDir: the user that runs Postgres can not enter that
	if err != nil {
		return err
	}
	shared.dir = dir
	if shared.server, err = postgres.Start(ctx, postgres.Options{DataDir: dir, NoSync: true}); err != nil {
		return err
	}
	url, err := shared.server.EnsureDatabase(ctx, template)
	if err != nil {
		return err
	}
	return db.Migrate(ctx, url)
}

// URL is the connection string of a fresh, migrated database. It goes with the server.
func URL(t testing.TB) string { return create(t, template) }

// EmptyURL is the connection string of a fresh database without any table.
func EmptyURL(t testing.TB) string { return create(t, "template0") }

func create(t testing.TB, from string) string {
	t.Helper()
	server := Server(t)
	shared.copying.Lock()
	defer shared.copying.Unlock()
	name := fmt.Sprintf("test_%d", shared.names.Add(1))
	Execute(t, server.URL(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from))
	return server.DatabaseURL(name)
}

// Execute runs one statement on a connection of its own.
func Execute(t testing.TB, url, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement, args...); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
}

// Count runs a query that gives one number.
func Count(t testing.TB, url, query string, args ...any) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := conn.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return n
}

// Key is the master key that New uses: random, one for each test binary.
var Key = sync.OnceValue(func() db.MasterKey {
	key, err := db.GenerateMasterKey()
	if err != nil {
		panic(err) // the system has no randomness
	}
	return key
})

// New opens a fresh, migrated database; it is closed when the test ends.
func New(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, URL(t))
}

// Open opens the database at url under Key; it is closed when the test ends.
func Open(t testing.TB, url string) *db.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	d, err := db.Open(ctx, db.Config{URL: url, MasterKey: Key()})
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(d.Close)
	return d
}
