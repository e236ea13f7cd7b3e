// Package database starts the Postgres server that is backed up and makes the data sets in it, the
// same ones at every run.
package database

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// stopTimeout bounds the end of the server.
const stopTimeout = 30 * time.Second

// Address is one database of the server for programs of libpq.
type Address struct {
	Host, User, Password, Name string
	Port                       int
}

// Arguments are the options of pg_dump and its like that lead to the database, its name last.
func (a Address) Arguments() []string { return append(a.ServerArguments(), a.Name) }

// ServerArguments lead to the server.
func (a Address) ServerArguments() []string {
	return []string{"-h", a.Host, "-p", fmt.Sprint(a.Port), "-U", a.User}
}

// Environment carries the password.
func (a Address) Environment() []string {
	return []string{"PGPASSWORD=" + a.Password, "PGSSLMODE=disable"}
}

// Server is the server that is backed up.
type Server struct {
	server *postgres.Server
	Tools  Tools
}

// Start makes a server below dir, as an administrator would set it up: shared_buffers and
// max_wal_size are raised, all else is the server's default.
func Start(ctx context.Context, dir string) (*Server, error) {
	server, err := postgres.Start(ctx, postgres.Options{DataDir: dir, Settings: map[string]string{"shared_buffers": "1GB", "max_wal_size": "4GB"}})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	s := &Server{server: server}
	if s.Tools, err = findTools(server.BinDir()); err != nil {
		_ = s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the server.
func (s *Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.server.Stop(ctx); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// BinDir is where the server's programs are.
func (s *Server) BinDir() string { return s.server.BinDir() }

// Address leads to a database of the server.
func (s *Server) Address(name string) Address {
	return Address{Host: "127.0.0.1", Port: s.server.Port(), User: postgres.User, Password: s.server.Password(), Name: name}
}

// Drop removes a database if it is there, and whoever is connected to it.
func (s *Server) Drop(ctx context.Context, name string) error {
	return s.with(ctx, "postgres", func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
		return err
	})
}

// Versions are those of the programs compared.
func (s *Server) Versions(ctx context.Context) (versions []string, err error) {
	var server string
	err = s.with(ctx, "postgres", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT current_setting('server_version')").Scan(&server)
	})
	if err != nil {
		return nil, err
	}
	versions = []string{"PostgreSQL " + strings.Fields(server)[0]}
	for _, tool := range []struct{ name, path string }{{"zstd", s.Tools.Zstd}, {"age", s.Tools.Age}} {
		output, err := exec.CommandContext(ctx, tool.path, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("bench: %s --version: %w", tool.name, err)
		}
		versions = append(versions, tool.name+" "+versionIn(string(output)))
	}
	return versions, nil
}

// Size is a database's size on the server in bytes.
func (s *Server) Size(ctx context.Context, name string) (size int64, err error) {
	err = s.with(ctx, name, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&size)
	})
	return size, err
}

// fill makes a database and lets do fill it. A checkpoint follows, so that its writes disturb no
// measurement.
func (s *Server) fill(ctx context.Context, name string, do func(*pgx.Conn) error) error {
	if _, err := s.server.EnsureDatabase(ctx, name); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return s.with(ctx, name, func(conn *pgx.Conn) error {
		if err := do(conn); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "CHECKPOINT")
		return err
	})
}

func (s *Server) with(ctx context.Context, name string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.server.DatabaseURL(name))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := do(conn); err != nil {
		return fmt.Errorf("bench: database %s: %w", name, err)
	}
	return nil
}

// Checkpoint writes what the server still holds in memory, so that a run does not pay for what was
// done before it.
func (s *Server) Checkpoint(ctx context.Context) error {
	return s.with(ctx, "postgres", func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CHECKPOINT")
		return err
	})
}
