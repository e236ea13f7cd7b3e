package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// orphanTimeout is how long a left-behind server may take for its shutdown checkpoint.
const orphanTimeout = time.Minute

// stopOrphan stops a server of this cluster that an earlier process left running. We hold the
// directory's lock, so nobody else owns it. A postmaster.pid of a dead process, or of one that is
// not a postmaster of this cluster, is left for Postgres, which removes it by itself.
func stopOrphan(ctx context.Context, pgdata string) error {
	pid, found := orphan(pgdata)
	if !found {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return failure.Wrap(failure.ConfigInvalid, fmt.Sprintf("stop the Postgres (process %d) that still runs in %s", pid, pgdata), err, "Stop it, then start again.")
	}
	ctx, cancel := context.WithTimeout(ctx, orphanTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond) // not our child, so its end can not be waited for
	defer tick.Stop()
	for {
		if !runsIn(pid, pgdata) { // not postmaster.pid: it goes a moment before the process does
			return nil
		}
		select {
		case <-ctx.Done():
			return failure.New(failure.Timeout, fmt.Sprintf("stop the Postgres (process %d) that an earlier run left in %s", pid, pgdata),
				"it did not end", "Stop it with kill -INT, then start again.")
		case <-tick.C:
		}
	}
}

// orphan finds the living postmaster of the cluster. A process id is used again after a reboot, so
// the process must also have the cluster as its working directory, as every postmaster has.
func orphan(pgdata string) (pid int, found bool) {
	file, err := os.Open(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	if !lines.Scan() {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(lines.Text()))
	if err != nil || pid <= 1 {
		return 0, false
	}
	return pid, runsIn(pid, pgdata)
}

// runsIn reports whether a living process has the cluster as its working directory.
func runsIn(pid int, pgdata string) bool {
	workingDir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	wanted, err := filepath.EvalSymlinks(pgdata)
	return err == nil && workingDir == wanted
}
