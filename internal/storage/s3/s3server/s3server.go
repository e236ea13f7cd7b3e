// Package s3server runs real S3 servers for tests: built from the module in integration/servers, each
// with a directory and a free port of its own.
package s3server

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

// Options of a server.
type Options struct {
	Dir      string // for its data; it must exist
	Region   string // "" is us-east-1
	CertFile string // with KeyFile: HTTPS
	KeyFile  string
	ReadOnly bool // only reading is allowed
}

// The keys that a server takes.
const (
	AccessKey = "test-access-key"
	SecretKey = "test-secret-key"
)

// startTimeout bounds the start of a server that is built already.
const startTimeout = 30 * time.Second

// Server is a running versitygw, an S3 server that keeps its objects as files.
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
	program, err := Program(ctx, "versitygw")
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
	arguments := []string{"--port", s.Address, "--region", s.opts.Region, "--keep-alive", "--quiet", "--health", "/health"}
	if s.opts.CertFile != "" {
		arguments = append(arguments, "--cert", s.opts.CertFile, "--key", s.opts.KeyFile)
	}
	if s.opts.ReadOnly {
		arguments = append(arguments, "--readonly")
	}
	arguments = append(arguments, "posix", "--versioning-dir", filepath.Join(s.opts.Dir, "versions"), filepath.Join(s.opts.Dir, "data"))
	s.output = &lockedBuffer{}
	s.command = exec.Command(s.program, arguments...) //nolint:gosec // the program is ours
	s.command.Dir = s.opts.Dir
	s.command.Env = []string{"ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey}
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
			return fmt.Errorf("s3server: versitygw ended: %s", s.output)
		case <-ctx.Done():
			return fmt.Errorf("s3server: versitygw does not answer: %w: %s", ctx.Err(), s.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop kills the server, as a crash would, and waits until it is gone. It may be called again.
func (s *Server) Stop() {
	_ = s.command.Process.Kill() // it may have ended by itself
	<-s.ended
}

// Program builds a tool of the module integration/servers, or finds it built, and gives its path. The
// first time it needs the module proxy and a minute or two.
func Program(ctx context.Context, tool string) (string, error) {
	module, err := serversModule()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "tool", "-n", tool) //nolint:gosec // one of our tools
	command.Dir = module
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("s3server: go tool -n %s: %w: %s", tool, err, strings.TrimSpace(problems.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// serversModule looks for integration/servers in the directories above the one the test runs in.
func serversModule() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		module := filepath.Join(dir, "integration", "servers")
		if _, found := os.Stat(filepath.Join(module, "go.mod")); found == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("there is no integration/servers above the working directory")
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
