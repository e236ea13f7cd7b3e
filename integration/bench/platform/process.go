package platform

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopTimeout bounds the orderly end of a process.
const stopTimeout = 30 * time.Second

// process is a running subcommand.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// startProcess starts one subcommand with an environment that holds nothing of ours but variables.
func startProcess(dir, subcommand, binary string, variables ...string) (*process, error) {
	log, err := os.CreateTemp(dir, subcommand+"-*.log") // there may be several workers
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
	cmd := exec.Command(binary, subcommand)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, variables...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s %s: %w; run make build first", binary, subcommand, err)
	}
	started := &process{cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() {
		defer close(started.done)
		_ = cmd.Wait() // how it ended shows in its log
	}()
	return started, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

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
	from := max(0, len(text)-2000)
	for _, death := range []string{"panic: ", "fatal error: "} { // the goroutines that follow are long
		if at := strings.Index(string(text), death); at >= 0 {
			from = at
		}
	}
	return strings.TrimSpace(string(text[from:min(len(text), from+2000)]))
}
