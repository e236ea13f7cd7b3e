package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

const databaseName = "bench"

// stopTimeout bounds the end of each server that the benchmark started.
const stopTimeout = 30 * time.Second

// databaseAddress is the measured database for programs of libpq.
type databaseAddress struct {
	host, user, password, name string
	port                       int
}

func (a databaseAddress) arguments() []string {
	return []string{"-h", a.host, "-p", fmt.Sprint(a.port), "-U", a.user, a.name}
}

func (a databaseAddress) environment() []string {
	return []string{"PGPASSWORD=" + a.password, "PGSSLMODE=disable"}
}

// database is the server that is backed up. The catalogue of the platform is on it too.
type database struct {
	server  *postgres.Server
	address databaseAddress
	tools   tools
}

func startDatabase(ctx context.Context, dir string) (_ *database, err error) {
	// shared_buffers as an administrator would set it; all else is the server's default.
	server, err := postgres.Start(ctx, postgres.Options{DataDir: dir, Settings: map[string]string{"shared_buffers": "1GB", "max_wal_size": "4GB"}})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	d := &database{server: server}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	if d.tools, err = findTools(server.BinDir()); err != nil {
		return nil, err
	}
	if _, err := server.EnsureDatabase(ctx, databaseName); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	d.address = databaseAddress{host: "127.0.0.1", port: server.Port(), user: postgres.User, password: server.Password(), name: databaseName}
	return d, nil
}

func (d *database) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := d.server.Stop(ctx); err != nil {
		say("%v", err)
	}
}

// fill makes the pgbench tables. A checkpoint follows, so that its writes disturb no measurement.
func (d *database) fill(ctx context.Context, scale int) error {
	arguments := append([]string{"-i", "-q", "-s", fmt.Sprint(scale)}, d.address.arguments()...)
	cmd := exec.CommandContext(ctx, d.tools.pgBench, arguments...)
	cmd.Env = append(os.Environ(), d.address.environment()...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bench: pgbench -i: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return d.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CHECKPOINT")
		return err
	})
}

// facts are the size of the database in bytes and the versions of the programs compared.
func (d *database) facts(ctx context.Context) (size int64, versions []string, err error) {
	var server string
	err = d.with(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_database_size(current_database()), current_setting('server_version')").Scan(&size, &server)
	})
	if err != nil {
		return 0, nil, err
	}
	versions = []string{"PostgreSQL " + strings.Fields(server)[0]}
	for _, tool := range []struct{ name, path string }{{"zstd", d.tools.zstd}, {"age", d.tools.age}} {
		output, err := exec.CommandContext(ctx, tool.path, "--version").Output()
		if err != nil {
			return 0, nil, fmt.Errorf("bench: %s --version: %w", tool.name, err)
		}
		versions = append(versions, tool.name+" "+versionIn(string(output)))
	}
	return size, versions, nil
}

// versionIn finds the first word with a digit and a dot in what a program says about itself.
func versionIn(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.Trim(word, ",*()v")
		if strings.Contains(word, ".") && strings.ContainsAny(word, "0123456789") {
			return word
		}
	}
	return strings.TrimSpace(text)
}

func (d *database) with(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, d.server.DatabaseURL(databaseName))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := do(conn); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
