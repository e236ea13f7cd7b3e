package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running subcommand.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// startProcess starts one subcommand with an environment that holds nothing of ours but variables.
func startProcess(dir, subcommand, binary string, variables ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, subcommand+".log"))
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
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// cpuTime is the user and system time of a process and of the children it waited for.
func cpuTime(pid int) (time.Duration, error) {
	const ticksPerSecond = 100 // USER_HZ, the same on every Linux
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("bench: CPU time of the worker: %w", err)
	}
	// The name, field 2, may hold spaces; it ends at the last parenthesis. utime is field 14.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return 0, errors.New("bench: CPU time of the worker: /proc/pid/stat is too short")
	}
	var ticks int64
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("bench: CPU time of the worker: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// peakRSS is the largest resident size that a running process ever had, in bytes.
func peakRSS(pid int) (int64, error) {
	value, ok := procField(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
	var kib int64
	if _, err := fmt.Sscanf(value, "%d kB", &kib); !ok || err != nil {
		return 0, errors.New("bench: the peak RSS of the worker can not be read; did it end?")
	}
	return kib * 1024, nil
}
