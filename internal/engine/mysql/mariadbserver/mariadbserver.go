// Package mariadbserver starts MariaDB servers for tests and benchmarks: on a free port of 127.0.0.1, with a data
// directory of their own, as an unprivileged user where we are root.
package mariadbserver

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// startTimeout bounds making a data directory and starting.
const startTimeout = 30 * time.Second

// User is the server's superuser.
const User = "keeper"

// Server is a running server.
type Server struct {
	Port      int
	Password  string // of User
	SocketDir string

	dir     string
	process *exec.Cmd
	exited  chan struct{}
}

// Start makes a data directory below dir, which the server's user has to be able to enter, and starts a server.
// settings are further options of mariadbd, "--name=value". The caller stops it.
func Start(ctx context.Context, dir string, settings ...string) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	s := &Server{Password: rand.Text(), dir: dir, SocketDir: dir}
	if account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			return nil, fmt.Errorf("mariadb: %w", err)
		}
	}
	data := filepath.Join(dir, "data")
	install := exec.CommandContext(ctx, "mariadb-install-db", append([]string{
		"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db",
	}, settings...)...)
	install.SysProcAttr, install.Dir = &syscall.SysProcAttr{Credential: account}, dir
	if output, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mariadb: make a data directory: %w: %s", err, output)
	}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		program = "/usr/sbin/mariadbd"
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("mariadb: %w", err)
	}
	defer log.Close()
	init := filepath.Join(dir, "init.sql")
	text := fmt.Sprintf("CREATE USER %[1]s@'%%' IDENTIFIED BY '%[2]s';\nGRANT ALL ON *.* TO %[1]s@'%%' WITH GRANT OPTION;\nDROP USER IF EXISTS ''@localhost;\n"+
		"DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;\n", User, s.Password)
	if err := os.WriteFile(init, []byte(text), 0o644); err != nil { //nolint:gosec // the server's user reads it
		return nil, fmt.Errorf("mariadb: %w", err)
	}
	s.process = exec.CommandContext(context.WithoutCancel(ctx), program, append([]string{
		"--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(dir, "mysqld.sock"), "--port=" + strconv.Itoa(s.Port),
		"--bind-address=127.0.0.1", "--pid-file=" + filepath.Join(dir, "pid"), "--init-file=" + init, "--skip-name-resolve",
	}, settings...)...)
	s.process.SysProcAttr, s.process.Dir = &syscall.SysProcAttr{Credential: account, Pdeathsig: syscall.SIGKILL}, dir
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("mariadb: %w", err)
	}
	s.exited = make(chan struct{})
	go func() {
		defer close(s.exited)
		_ = s.process.Wait()
	}()
	if err := s.await(ctx); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "log"))
		return nil, errors.Join(err, s.Stop(), errors.New(string(said[max(0, len(said)-2000):])))
	}
	return s, nil
}

// await waits for the server to let us in.
func (s *Server) await(ctx context.Context) error {
	db := s.Open("")
	defer db.Close()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("mariadb: the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("mariadb: the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond): // another process: there is no event to wait for
		}
	}
}

// Open gives connections of the superuser to a database, "" none. The caller closes them.
func (s *Server) Open(database string) *sql.DB {
	c := driver.NewConfig()
	c.User, c.Passwd, c.DBName, c.Net, c.Addr = User, s.Password, database, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	c.Collation, c.Logger = "utf8mb4_general_ci", &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		panic(err) // the configuration is ours
	}
	return sql.OpenDB(connector)
}

// Stop ends the server at once: nothing that it holds is kept.
func (s *Server) Stop() error {
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("mariadb: %w", err)
	}
	<-s.exited
	return nil
}

// serverAccount is the user that runs the server: nil is us, unless we are root.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var problems []string
	for _, name := range []string{"mysql", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(err, gidErr); err != nil {
			return nil, fmt.Errorf("mariadb: user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("mariadb: as root the server needs a user to run as: " + strings.Join(slices.Compact(problems), "; "))
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("mariadb: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
