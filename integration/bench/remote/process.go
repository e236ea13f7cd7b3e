// Package remote runs the servers that storage is measured on, sshd and an S3 gateway, with data, keys
// and settings below a directory, on free ports of 127.0.0.1; and it configures rclone for them.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	// pollInterval is how often a server that is starting is asked whether it listens.
	pollInterval = 20 * time.Millisecond
)

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start starts a program with an environment that holds nothing of ours but variables, and returns when
// it listens at address.
func start(ctx context.Context, dir, address string, variables []string, program string, arguments ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
	cmd := exec.Command(program, arguments...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, variables...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", program, err)
	}
	p := &process{cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended shows in its log
	}()
	if err := p.listens(ctx, address); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *process) listens(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("bench: %s ended: %s", p.cmd.Path, p.tail())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("bench: %s does not listen: %s", p.cmd.Path, p.tail()), ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only where it has ended
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// tail is the end of the process's log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

func address(port int) string { return fmt.Sprintf("%s:%d", host, port) }

// freePort is one that nobody listens on now.
func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
