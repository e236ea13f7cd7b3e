package postgres

import (
	"os/exec"
	"runtime"
	"syscall"
)

// process is the postmaster and the goroutine that waits for it.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// startProcess starts cmd and waits for it on one locked thread: the kernel sends the parent-death
// signal when the thread that started the child ends, not when the process does, so that thread
// has to live as long as the child.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log; that it ended is what callers ask
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal does nothing to a process that has been waited for: its id may be another's by now.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
}

// kill ends the server at once and waits. SIGQUIT lets the postmaster end its children, which a
// SIGKILL would leave behind.
func (p *process) kill() {
	p.signal(syscall.SIGQUIT)
	<-p.done
}
