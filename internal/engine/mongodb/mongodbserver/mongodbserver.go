// Package mongodbserver runs FerretDB for tests: a server that speaks MongoDB's wire protocol and keeps its
// data in SQLite. It is built from the module in integration/servers/ferretdb.
package mongodbserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The user that the server takes; it may do everything.
const (
	Username = "backup"
	Password = "p@ss:w/rd%?#" //nolint:gosec // of a server that tests start
)

// startTimeout bounds the start of a server that is built already.
const startTimeout = 30 * time.Second

// module is the source, version what it is pinned to: part of the built program's name.
const (
	module  = "github.com/FerretDB/FerretDB"
	version = "v1.24.0"
)

// Options of a server.
type Options struct {
	Dir string // for its data; it must exist
	// CertFile, KeyFile and CAFile make it speak TLS only.
	CertFile, KeyFile, CAFile string
	// ReplicaSet is the name of the replica set that it says to be the only member of. It keeps an oplog
	// when there is a collection oplog.rs in database local.
	ReplicaSet string
}

// Server is a running FerretDB.
type Server struct {
	Port    int
	command *exec.Cmd
	output  *lockedBuffer
	ended   chan struct{}
}

// Start builds the server if need be and starts it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	program, err := Program(ctx)
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	arguments := []string{
		"--handler=sqlite", "--sqlite-url=file:" + opts.Dir + "/", "--state-dir=" + opts.Dir, "--debug-addr=-", "--telemetry=disable",
		"--log-level=warn", "--test-enable-new-auth", "--setup-database=admin", "--setup-username=" + Username, "--setup-password=" + Password,
	}
	if opts.ReplicaSet != "" {
		arguments = append(arguments, "--repl-set-name="+opts.ReplicaSet)
	}
	if opts.CertFile == "" {
		arguments = append(arguments, "--listen-addr="+address)
	} else {
		arguments = append(arguments, "--listen-addr=", "--listen-tls="+address, "--listen-tls-cert-file="+opts.CertFile, "--listen-tls-key-file="+opts.KeyFile)
		if opts.CAFile != "" {
			arguments = append(arguments, "--listen-tls-ca-file="+opts.CAFile)
		}
	}
	s := &Server{Port: port, output: &lockedBuffer{}, ended: make(chan struct{})}
	s.command = exec.CommandContext(context.WithoutCancel(ctx), program, arguments...) //nolint:gosec // the program is ours
	s.command.Dir, s.command.Env = opts.Dir, []string{"HOME=" + opts.Dir}
	s.command.Stdout, s.command.Stderr = s.output, s.output
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("mongodbserver: start: %w", err)
	}
	go func() { _ = s.command.Wait(); close(s.ended) }()
	if err := s.waitUntilUp(ctx, address); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// PID is the server's process id.
func (s *Server) PID() int { return s.command.Process.Pid }

func (s *Server) waitUntilUp(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("mongodbserver: it ended: %s", s.output)
		case <-ctx.Done():
			return fmt.Errorf("mongodbserver: it does not answer: %w: %s", ctx.Err(), s.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Ended gives what the server has said if it has ended.
func (s *Server) Ended() (output string, ended bool) {
	select {
	case <-s.ended:
		return s.output.String(), true
	default:
		return "", false
	}
}

// Stop kills the server and waits until it is gone. It may be called again.
func (s *Server) Stop() {
	_ = s.command.Process.Kill() // it may have ended by itself
	<-s.ended
}

// Program builds the server, or finds it built, and gives its path. The first time it needs the module
// proxy and some minutes. FerretDB refuses to run without a file that its module lacks, so a copy of the
// module is built.
func Program(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("mongodbserver: %w", err)
	}
	dir := filepath.Join(cache, "dataguardian-tests")
	program := filepath.Join(dir, "ferretdb-"+version)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	pinned, err := findAbove("integration/servers/ferretdb")
	if err != nil {
		return "", err
	}
	source, err := run(ctx, pinned, "go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", module)
	if err != nil {
		return "", err
	}
	found, foundVersion, _ := strings.Cut(source, " ")
	if foundVersion != version || found == "" {
		if _, err := run(ctx, pinned, "go", "mod", "download", module); err != nil {
			return "", err
		}
		source, err = run(ctx, pinned, "go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", module)
		if found, foundVersion, _ = strings.Cut(source, " "); err != nil || foundVersion != version || found == "" {
			return "", errors.Join(fmt.Errorf("mongodbserver: the module is %q instead of %s", source, version), err)
		}
	}
	return program, build(ctx, found, dir, program)
}

func build(ctx context.Context, source, dir, program string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("mongodbserver: %w", err)
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return fmt.Errorf("mongodbserver: %w", err)
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "ferretdb")
	if _, err := run(ctx, work, "cp", "-r", "--no-preserve=mode", source, tree); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, "build", "version", "version.txt"), []byte(version+"\n"), 0o600); err != nil {
		return fmt.Errorf("mongodbserver: %w", err)
	}
	built := filepath.Join(work, "program")
	if _, err := run(ctx, tree, "go", "build", "-buildvcs=false", "-o", built, "./cmd/ferretdb"); err != nil {
		return err
	}
	if err := os.Rename(built, program); err != nil {
		return fmt.Errorf("mongodbserver: %w", err)
	}
	return nil
}

func run(ctx context.Context, dir, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...) //nolint:gosec // the arguments are ours
	command.Dir = dir
	command.Env = append(command.Environ(), "GOFLAGS=") // not those of the tests: with the race detector it takes several times as long
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("mongodbserver: %s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(problems.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// findAbove looks for a module of the repository from the directories above the one a test runs in.
func findAbove(module string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		found := filepath.Join(dir, filepath.FromSlash(module))
		if _, missing := os.Stat(filepath.Join(found, "go.mod")); missing == nil {
			return found, nil
		}
		if dir == filepath.Dir(dir) {
			err = fmt.Errorf("there is no %s above the working directory", module)
		}
		dir = filepath.Dir(dir)
	}
	return "", fmt.Errorf("mongodbserver: %w", err)
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("mongodbserver: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// lockedBuffer keeps what a server says.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String is all of it.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
