package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Process is a started child and its process group.
type Process struct {
	cmd     *exec.Cmd
	program string // its name, for errors
	stderr  *tail
	secret  []string
	done    chan struct{} // closed when the group is gone and err is set
	err     error

	mu     sync.Mutex
	reaped bool // the group's id may be somebody else's
}

// Start starts the child in a process group of its own. When ctx ends, or no byte moved for
// c.IdleTimeout, the group gets SIGTERM and after c.Grace SIGKILL. A program that is not there is
// failure.ToolMissing. The caller has to call Wait.
func Start(ctx context.Context, c Command) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &Process{program: filepath.Base(c.Path), stderr: &tail{limit: tailBytes}, secret: c.Secrets, done: make(chan struct{})}
	path, args := c.line()
	p.cmd = &exec.Cmd{
		Path:   path,
		Args:   append([]string{path}, args...),
		Env:    append([]string{}, c.Env...), // never nil: nil would inherit
		Dir:    c.Dir,
		Stderr: p.stderr,
		// The kernel ends the child with us, also when we are killed, and also when it is paused or waits for its server.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		// A process that left the group may hold standard error open; it does not hold us.
		WaitDelay: time.Second,
	}
	if c.Stdin != nil {
		p.cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		p.cmd.Stdout = c.Stdout
	}
	exited, err := p.launch()
	if err != nil {
		return nil, failure.Wrap(failure.ToolMissing, "start "+p.program, err, "Check that the program is installed and may be executed.")
	}
	go p.supervise(ctx, c, exited)
	return p, nil
}

// launch starts the child. What ends it with us is the end of the thread that started it, so that one waits until the
// child has exited, which the returned channel tells.
func (p *Process) launch() (exited <-chan struct{}, err error) {
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.awaitExit()
		}
	}()
	return done, <-started
}

// PID is the child's process id, which is also its group's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Wait returns when the child and everything else in its group have ended. The error is ctx's, or
// failure.Timeout of the idle watchdog, or an *ExitError. It may be called more than once.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Pause stops the child's whole group from running until Resume. It can be ended all the same. A
// child that has ended is left alone.
func (p *Process) Pause() { p.signal(unix.SIGSTOP) }

// Resume lets a paused group go on.
func (p *Process) Resume() { p.signal(unix.SIGCONT) }

func (p *Process) signal(s unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(-p.PID(), s) // no such group: it has ended
	}
}

// Stderr is the redacted tail of the child's standard error. Call it after Wait.
func (p *Process) Stderr() string {
	<-p.done
	return failure.Redact(p.stderr.String(), p.secret...)
}

// supervise waits for the child, or for a reason to end it, and sets the result.
func (p *Process) supervise(ctx context.Context, c Command, exited <-chan struct{}) {
	stopped := p.awaitReason(ctx, c, exited)

	// The child is a zombie until cmd.Wait below: its group id can not be given to anybody else
	// while the rest of the group is being ended.
	p.endGroup(c.Grace, exited)
	<-exited
	p.mu.Lock()
	waitErr := p.cmd.Wait()
	p.reaped = true
	p.mu.Unlock()
	if stopped != nil {
		p.err = stopped
	} else {
		p.err = p.result(waitErr)
	}
	close(p.done)
}

// awaitExit blocks until the child has exited, without reaping it.
func (p *Process) awaitExit() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.PID(), &info, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// awaitReason returns nil when the child exited by itself, else why it has to be ended.
func (p *Process) awaitReason(ctx context.Context, c Command, exited <-chan struct{}) error {
	var tick <-chan time.Time
	if c.IdleTimeout > 0 && c.Meter != nil {
		ticker := time.NewTicker(min(max(c.IdleTimeout/10, 10*time.Millisecond), time.Second))
		defer ticker.Stop()
		tick = ticker.C
	}
	start := time.Now()
	for {
		select {
		case <-exited:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s was stopped: %w", p.program, context.Cause(ctx))
		case <-tick:
			if c.Meter.idle(start) >= c.IdleTimeout {
				return failure.New(failure.Timeout, p.program, fmt.Sprintf("no byte moved for %s", c.IdleTimeout),
					"Look for a lock that blocks it on the server, or raise idle_timeout_minutes.")
			}
		}
	}
}

// result turns the child's status into an error.
func (p *Process) result(waitErr error) error {
	state := p.cmd.ProcessState
	if state == nil {
		return failure.Wrap(failure.Unknown, "wait for "+p.program, waitErr, "")
	}
	if state.Success() {
		return nil
	}
	exit := &ExitError{Program: p.program, Code: state.ExitCode(), Stderr: failure.Redact(p.stderr.String(), p.secret...)}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Signal = unix.SignalName(status.Signal())
	}
	return exit
}
