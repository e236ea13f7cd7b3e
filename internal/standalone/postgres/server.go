// Package postgres runs a private Postgres server from the system's binaries: one directory holds
// the cluster, its password and its log. `up`, the demo and the tests use it; production points
// DATABASE_URL at a server of its own.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// User is the superuser of every cluster that this package makes.
const User = "dataguardian"

// startTimeout bounds one start of the server, crash recovery included.
const startTimeout = 2 * time.Minute

// Options says where and how the server runs.
type Options struct {
	// DataDir holds everything: the cluster (pgdata), the password (0600), the log and the socket
	// directory. It is created when missing. As root, it is given to the user that runs Postgres,
	// who must be able to enter its parents.
	DataDir string
	// BinDir is the directory of initdb and postgres; "" looks on PATH and under /usr/lib/postgresql.
	BinDir string
	// Port on 127.0.0.1; 0 takes a free one, which may differ at each start.
	Port int
	// NoSync gives up durability for speed (fsync off): tests only.
	NoSync bool
	// Settings are further server settings, for example "max_connections".
	Settings map[string]string
}

// Server is a running Postgres.
type Server struct {
	port      int
	password  string
	binDir    string
	socketDir string
	process   *process
	lock      *flock.Flock
	stopped   atomic.Bool
}

// Start makes the cluster if there is none, starts the server and waits until it answers. A server
// of the same directory that an earlier process left behind is stopped first; a directory that a
// living process uses is an error. Errors are classified: ToolMissing without the binaries,
// ConfigInvalid for a directory or port that can not be used.
func Start(ctx context.Context, opts Options) (_ *Server, err error) {
	dir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "find the data directory of Postgres", err, "")
	}
	owner, err := clusterOwner()
	if err != nil {
		return nil, err
	}
	c := cluster{dir: dir, owner: owner}
	if err := c.prepareDirectory(); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if held, err := lock.TryLock(); err != nil || !held {
		return nil, failure.Wrap(failure.ConfigInvalid, "lock "+dir, errors.Join(errors.New("another process uses this directory"), err),
			"Stop the other dataguardian, or give this one a data directory of its own.")
	}
	defer func() {
		if err != nil {
			_ = lock.Unlock()
		}
	}()
	if c.binDir, err = findBinaries(ctx, opts.BinDir, c.version()); err != nil {
		return nil, err
	}
	if err := stopOrphan(ctx, c.pgdata()); err != nil {
		return nil, err
	}
	if err := c.initialize(ctx, opts.NoSync); err != nil {
		return nil, err
	}
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	s := &Server{password: password, binDir: c.binDir, socketDir: c.socketDir(), lock: lock}
	if err := s.launch(ctx, c, opts); err != nil {
		return nil, err
	}
	return s, nil
}

// launch starts the server process. A free port can be lost between choosing it and using it, so a
// start on a port of our own choice is tried again on another one.
func (s *Server) launch(ctx context.Context, c cluster, opts Options) error {
	const tries = 5
	var err error
	for range tries {
		s.port = opts.Port
		if s.port == 0 {
			if s.port, err = freePort(ctx); err != nil {
				return failure.Wrap(failure.Unknown, "find a free port for Postgres", err, "")
			}
		} else if err := checkPort(ctx, s.port); err != nil {
			return err
		}
		if err = s.launchOnce(ctx, c, opts); err == nil || ctx.Err() != nil || opts.Port != 0 || !errors.Is(err, errExited) {
			return err
		}
	}
	return err
}

var errExited = errors.New("the server ended before it was ready")

func (s *Server) launchOnce(ctx context.Context, c cluster, opts Options) error {
	logFile, err := c.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the server has its own descriptor
	//nolint:noctx // the server outlives this call; Stop ends it
	cmd := exec.Command(filepath.Join(c.binDir, "postgres"), c.serverArguments(s.port, opts)...)
	cmd.Dir = c.dir
	cmd.Env = toolEnvironment()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = serverAttributes(c.owner)
	if s.process, err = startProcess(cmd); err != nil {
		return failure.Wrap(failure.Unknown, "start "+cmd.Path, err, "")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.awaitReady(ctx); err != nil {
		s.process.kill()
		return failure.Wrap(failure.Unknown, "start Postgres in "+c.dir, fmt.Errorf("%w: %s", err, c.logTail()),
			"The server's log is "+c.logPath()+".")
	}
	return nil
}

// awaitReady connects until the server answers: it says nothing when it begins to.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.process.done:
			return errExited
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// URL is the connection string of the database "postgres", password included: never log it.
func (s *Server) URL() string { return s.DatabaseURL("postgres") }

// DatabaseURL is the connection string of the named database, password included.
func (s *Server) DatabaseURL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(User, s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Password is the superuser's password.
func (s *Server) Password() string { return s.password }

// BinDir is where the server's binaries were found; pg_dump is usually beside them.
func (s *Server) BinDir() string { return s.binDir }

// SocketDir is the directory of the Unix socket, "" when the data directory's path is too long for one.
func (s *Server) SocketDir() string { return s.socketDir }

// PID is the process id of the postmaster.
func (s *Server) PID() int { return s.process.pid() }

// Done is closed when the server process has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// EnsureDatabase creates the named database if there is none and returns its URL.
func (s *Server) EnsureDatabase(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return "", failure.Wrap(failure.Unreachable, "connect to the private Postgres", err, "")
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return "", failure.Wrap(failure.Unknown, "look for database "+name, err, "")
	}
	if !exists {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil { //nolint:misspell // the name is pgx's
			return "", failure.Wrap(failure.Unknown, "create database "+name, err, "")
		}
	}
	return s.DatabaseURL(name), nil
}

// Stop shuts the server down in fast mode (transactions are rolled back, data is flushed) and waits
// for its end; when ctx ends first the server is told to quit at once, which recovery repairs at the
// next start. Stopping twice is fine.
func (s *Server) Stop(ctx context.Context) error {
	if s.stopped.Swap(true) {
		return nil
	}
	defer func() { _ = s.lock.Unlock() }()
	s.process.signal(syscall.SIGINT)
	select {
	case <-s.process.done:
		return nil
	case <-ctx.Done():
		s.process.signal(syscall.SIGQUIT)
	}
	select {
	case <-s.process.done:
	case <-time.After(10 * time.Second):
		s.process.kill()
	}
	return fmt.Errorf("stop Postgres: it did not end in time and was told to quit: %w", ctx.Err())
}
