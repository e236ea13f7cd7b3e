package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
)

var server *mariadbserver.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run starts one server for all tests. Without one nothing here can be tested, so that is a failure.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dataguardian-mariadb-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server, err = mariadbserver.Start(context.Background(), dir, "--event-scheduler=ON", "--innodb-flush-log-at-trx-commit=0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	return m.Run()
}

func newEngine() *mysql.Engine { return mysql.New(domain.MariaDB, mysql.Options{}) }

// withTools is the engine with the client tools in dir, and no others.
func withTools(dir string) engine.Engine {
	return mysql.New(domain.MariaDB, mysql.Options{BinDirs: []string{dir}, OnlyBinDirs: true})
}

// source is the server's superuser in a database.
func source(database string) engine.Source { return sourceOn(server, database) }

func sourceOn(s *mariadbserver.Server, database string) engine.Source {
	return engine.Source{Name: "test " + database, Type: domain.MariaDB, Config: domain.ConnectionConfig{
		Host: "127.0.0.1", Port: s.Port, Database: database, Username: mariadbserver.User, Password: s.Password, SSLMode: domain.SSLDisable,
	}}
}

func sourceAddress(s *mariadbserver.Server) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
}

func in(src engine.Source, database string) engine.Source {
	src.Config.Database = database
	return src
}

func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// execute runs statements, each by itself, in one session of a database.
func execute(t *testing.T, database string, statements ...string) {
	t.Helper()
	db := server.Open(database)
	defer db.Close()
	conn, err := db.Conn(context.Background())
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := conn.ExecContext(context.Background(), statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, conn.Close())
}

// queryRows reads rows as text; NULL is "NULL".
func queryRows(t *testing.T, database, query string, args ...any) []string {
	t.Helper()
	db := server.Open("")
	defer db.Close()
	conn, err := db.Conn(context.Background())
	require.NoError(t, err)
	defer conn.Close()
	if database != "" {
		_, err = conn.ExecContext(context.Background(), "USE "+quoted(database))
		require.NoError(t, err)
	}
	rows, err := conn.QueryContext(context.Background(), query, args...)
	require.NoError(t, err, query)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	found := []string{}
	for rows.Next() {
		raw, targets := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range raw {
			targets[i] = &raw[i]
		}
		require.NoError(t, rows.Scan(targets...))
		values := make([]string, len(columns))
		for i := range raw {
			if values[i] = "NULL"; raw[i] != nil {
				values[i] = strconv.Quote(string(raw[i]))
			}
		}
		found = append(found, strings.Join(values, " "))
	}
	require.NoError(t, rows.Err())
	return found
}

var databaseNumber atomic.Int64

// fresh names a database that does not exist and drops it at the end.
func fresh(t *testing.T) string {
	t.Helper()
	name := "fresh " + strconv.FormatInt(databaseNumber.Add(1), 10)
	dropAfter(t, name)
	return name
}

func dropAfter(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() { execute(t, "", "SET foreign_key_checks = 0", "DROP DATABASE IF EXISTS "+quoted(name)) })
}

// create makes a database with these statements run in it; it is dropped at the end.
func create(t *testing.T, name, options string, statements ...string) engine.Source {
	t.Helper()
	dropAfter(t, name)
	execute(t, "", "CREATE DATABASE "+quoted(name)+" "+options)
	execute(t, "", append([]string{"USE " + quoted(name)}, statements...)...)
	return source(name)
}

func databases(t *testing.T) []string {
	t.Helper()
	return queryRows(t, "", "select schema_name from information_schema.schemata order by 1")
}

// hold locks a table so that the dump has to wait for it.
func hold(table string) func(*testing.T, engine.Source) func() {
	return func(t *testing.T, src engine.Source) func() {
		t.Helper()
		db := server.Open(src.Config.Database)
		conn, err := db.Conn(context.Background())
		require.NoError(t, err)
		_, err = conn.ExecContext(context.Background(), "LOCK TABLES "+quoted(table)+" WRITE")
		require.NoError(t, err)
		return func() { _, _ = conn.Close(), db.Close() }
	}
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}
