package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// groupPoll is how often a dying group is looked at: its members are not our children, so there
// is no event to wait for.
const groupPoll = 5 * time.Millisecond

// endGroup returns when no living process is left in the child's group: SIGTERM to all, SIGKILL
// after grace. A child that exited by itself and left nothing behind costs one look.
func (p *Process) endGroup(grace time.Duration, exited <-chan struct{}) {
	if grace <= 0 {
		grace = DefaultGrace
	}
	group := p.PID()
	if !groupAlive(group) {
		return
	}
	_ = unix.Kill(-group, unix.SIGTERM)
	_ = unix.Kill(-group, unix.SIGCONT) // a paused one takes its signals only when it goes on
	deadline := time.Now().Add(grace)
	killed := false
	for groupAlive(group) {
		if !killed && time.Now().After(deadline) {
			killed = true
		}
		if killed { // again each time: a member may have been forked in between
			_ = unix.Kill(-group, unix.SIGKILL)
		}
		time.Sleep(groupPoll)
	}
	<-exited
}

// groupAlive reports whether the group has a member that is not a zombie. Zombies are nobody's
// work any more, and where process 1 does not reap they would stay for ever.
func groupAlive(group int) bool {
	if unix.Kill(-group, 0) == unix.ESRCH {
		return false
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) // without it nobody can be told from a zombie
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return true
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		// Asking for a group is a hundred times as fast as reading a status.
		if of, err := unix.Getpgid(pid); err == nil && of != group {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && memberAlive(stat, group) {
			return true
		}
	}
	return false
}

// statFields are those of /proc/<pid>/stat from the state on: "pid (name) state ppid pgrp …", where name may hold anything.
func statFields(stat []byte) [][]byte { return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) }

// memberAlive reports whether stat is that of a living process of the group.
func memberAlive(stat []byte, group int) bool {
	fields := statFields(stat)
	if len(fields) < 3 || string(fields[2]) != strconv.Itoa(group) {
		return false
	}
	return !bytes.ContainsAny(fields[0], "ZXx")
}
