// Package s3server runs real S3 servers for tests: built from the module in integration/servers, each
// with a directory and a free port of its own.
package s3server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Kind is a server program.
type Kind string

// The programs. MinIO takes minutes to build.
const (
	VersityGW Kind = "versitygw" // keeps objects as files
	MinIO     Kind = "minio"
)

// Options of a server.
type Options struct {
	Kind     Kind   // "" is VersityGW
	Dir      string // for its data; it must exist
	Region   string // "" is us-east-1
	CertFile string // VersityGW, with KeyFile: HTTPS
	KeyFile  string
	ReadOnly bool // VersityGW: only reading is allowed
}

// The keys that a server takes.
const (
	AccessKey = "test-access-key"
	SecretKey = "test-secret-key"
)

// startTimeout bounds the start of a server that is built already.
const startTimeout = 30 * time.Second

// Server is a running S3 server.
type Server struct {
	Address string // host:port, the same after a restart
	opts    Options
	program string
	command *exec.Cmd
	output  *lockedBuffer
	ended   chan struct{}
}

// Start builds the server if need be and starts it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Kind == "" {
		opts.Kind = VersityGW
	}
	program, err := Program(ctx, opts.Kind)
	if err != nil {
		return nil, err
	}
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"data", "versions"} {
		if err := os.MkdirAll(filepath.Join(opts.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("s3server: %w", err)
		}
	}
	s := &Server{Address: address, opts: opts, program: program}
	return s, s.Restart(ctx)
}

// Endpoint is the server's URL.
func (s *Server) Endpoint() string {
	if s.opts.CertFile != "" {
		return "https://" + s.Address
	}
	return "http://" + s.Address
}

// Region is the server's.
func (s *Server) Region() string { return s.opts.Region }

// Restart starts the server again after Stop, with the same data at the same address.
func (s *Server) Restart(ctx context.Context) error {
	s.output = &lockedBuffer{}
	s.command = exec.CommandContext(context.WithoutCancel(ctx), s.program, s.arguments()...) //nolint:gosec // the program is ours
	s.command.Dir = s.opts.Dir
	s.command.Env = []string{
		"HOME=" + s.opts.Dir, "ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey,
		"MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey, "MINIO_REGION=" + s.opts.Region,
	}
	s.command.Stdout, s.command.Stderr = s.output, s.output
	if err := s.command.Start(); err != nil {
		return fmt.Errorf("s3server: start: %w", err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(command *exec.Cmd) { _ = command.Wait(); close(ended) }(s.command)
	if err := s.waitUntilUp(ctx); err != nil {
		s.Stop()
		return err
	}
	return nil
}

func (s *Server) arguments() []string {
	data := filepath.Join(s.opts.Dir, "data")
	if s.opts.Kind == MinIO {
		return []string{"server", "--quiet", "--address", s.Address, "--console-address", "127.0.0.1:0", data}
	}
	arguments := []string{"--port", s.Address, "--region", s.opts.Region, "--keep-alive", "--quiet"}
	if s.opts.CertFile != "" {
		arguments = append(arguments, "--cert", s.opts.CertFile, "--key", s.opts.KeyFile)
	}
	if s.opts.ReadOnly {
		arguments = append(arguments, "--readonly")
	}
	return append(arguments, "posix", "--versioning-dir", filepath.Join(s.opts.Dir, "versions"), data)
}

func (s *Server) waitUntilUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("s3server: %s ended: %s", s.opts.Kind, s.output)
		case <-ctx.Done():
			return fmt.Errorf("s3server: %s does not answer: %w: %s", s.opts.Kind, ctx.Err(), s.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop kills the server, as a crash would, and waits until it is gone. It may be called again.
func (s *Server) Stop() {
	_ = s.command.Process.Kill() // it may have ended by itself
	<-s.ended
}

// modules are where the programs' versions are pinned, below the repository: their dependencies stay
// out of ours.
var modules = map[Kind]string{VersityGW: "integration/servers", MinIO: "integration/servers/minio"}

// Program builds a server, or finds it built, and gives its path. The first time it needs the module
// proxy and a minute, MinIO several.
func Program(ctx context.Context, kind Kind) (string, error) {
	module, err := findAbove(modules[kind])
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "tool", "-n", string(kind)) //nolint:gosec // one of our tools
	command.Dir = module
	command.Env = append(command.Environ(), "GOFLAGS=") // not those of the tests
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("s3server: go tool -n %s: %w: %s", kind, err, strings.TrimSpace(problems.String()))
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
	return "", fmt.Errorf("s3server: %w", err)
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("s3server: %w", err)
	}
	return listener.Addr().String(), listener.Close()
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
