package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	standalone "github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

var server *standalone.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run starts one server for all tests. Without one nothing here can be tested, so that is a failure.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dataguardian-engine-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if server, err = standalone.Start(context.Background(), standalone.Options{DataDir: dir, NoSync: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return m.Run()
}

func newEngine() *postgres.Engine { return postgres.New(postgres.Options{}) }

// withScratch is the engine with so many bytes of scratch space.
func withScratch(bytes int64) *postgres.Engine {
	return postgres.New(postgres.Options{ScratchBytes: bytes})
}

// withTools is the engine with the client tools in dir, and no others.
func withTools(dir string) engine.Engine {
	return postgres.New(postgres.Options{BinDirs: []string{dir}, OnlyBinDirs: true})
}

// source is the server's superuser in a database.
func source(t *testing.T, database string) engine.Source {
	t.Helper()
	parsed, err := url.Parse(server.URL())
	require.NoError(t, err)
	return engine.Source{Name: "test " + database, Type: domain.Postgres, Config: domain.ConnectionConfig{
		Host: "127.0.0.1", Port: server.Port(), Database: database,
		Username: parsed.User.Username(), Password: server.Password(), SSLMode: domain.SSLDisable,
	}}
}

func in(src engine.Source, database string) engine.Source {
	src.Config.Database = database
	return src
}

func open(t *testing.T, src engine.Source) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig("host=127.0.0.1 sslmode=disable")
	require.NoError(t, err)
	config.Port, config.Database = uint16(src.Config.Port), src.Config.Database //nolint:gosec // a port
	config.User, config.Password = src.Config.Username, src.Config.Password
	conn, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// execute runs statements, each by itself, in a database.
func execute(t *testing.T, src engine.Source, statements ...string) {
	t.Helper()
	conn := open(t, src)
	for _, statement := range statements {
		_, err := conn.Exec(context.Background(), statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, conn.Close(context.Background()))
}

func queryStrings(t *testing.T, src engine.Source, sql string, args ...any) []string {
	t.Helper()
	conn := open(t, src)
	rows, err := conn.Query(context.Background(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NoError(t, conn.Close(context.Background()))
	return values
}

var databaseNumber atomic.Int64

// fresh names a database that does not exist and drops it, and what a restore left of it, at the end.
func fresh(t *testing.T) string {
	t.Helper()
	name := "fresh " + strconv.FormatInt(databaseNumber.Add(1), 10)
	dropAfter(t, name)
	return name
}

func dropAfter(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), server.URL())
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
		require.NoError(t, err)
	})
}

// hold locks a table so that pg_dump has to wait for it.
func hold(table string) func(*testing.T, engine.Source) func() {
	return func(t *testing.T, src engine.Source) func() {
		t.Helper()
		conn := open(t, src)
		_, err := conn.Exec(context.Background(), "BEGIN")
		require.NoError(t, err)
		_, err = conn.Exec(context.Background(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		return func() { _ = conn.Close(context.Background()) }
	}
}

// create makes a database that is dropped at the end.
func create(t *testing.T, name, options string) engine.Source {
	t.Helper()
	dropAfter(t, name)
	execute(t, source(t, "postgres"), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" "+options)
	return source(t, name)
}

func databases(t *testing.T) []string {
	t.Helper()
	return queryStrings(t, source(t, "postgres"), "select datname::text from pg_database order by 1")
}

func tool(name string) string { return filepath.Join(server.BinDir(), name) }
