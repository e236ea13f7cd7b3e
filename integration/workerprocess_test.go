package integration

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/worker"
)

// A worker that is to be killed has to be a process of its own: the test binary runs itself again
// with these variables set.
const (
	workerEnv       = "DG_TEST_WORKER_POOL"
	workerCatalogue = "DG_TEST_WORKER_CATALOGUE"
	workerTemporal  = "DG_TEST_WORKER_TEMPORAL"
	workerKey       = "DG_TEST_WORKER_KEY_FILE"
	workerDiesAt    = "DG_TEST_WORKER_DIES_AT" // boundary at which it kills itself
	workerObeys     = "DG_TEST_WORKER_OBEYS"   // it is told on standard input where to die, see obey
	workerTries     = "DG_TEST_WORKER_TRIES"   // of a step that moves data, where it is not 8
	workerReady     = "worker is ready"
)

func runWorkerProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := serveWorker(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "worker process:", err)
		return 1
	}
	return 0
}

func serveWorker(ctx context.Context) error {
	key, err := db.LoadOrCreateKeyFile(os.Getenv(workerKey))
	if err != nil {
		return err
	}
	database, err := db.Open(ctx, db.Config{URL: os.Getenv(workerCatalogue), MasterKey: key})
	if err != nil {
		return err
	}
	defer database.Close()
	dialled, err := dialTemporal(ctx, os.Getenv(workerTemporal))
	if err != nil {
		return err
	}
	defer dialled.Close()
	patient := tuning()
	patient.Attempts = 8 // a stopped process still holds open polls, each of which swallows one attempt
	if tries, err := strconv.ParseInt(os.Getenv(workerTries), 10, 32); err == nil {
		patient.Attempts = int32(tries)
	}
	var end fuse
	end.set(os.Getenv(workerDiesAt), 1)
	if os.Getenv(workerObeys) != "" {
		obey(&end, &patient)
	}
	w, err := worker.New(worker.Options{
		DB: database, Temporal: dialled, Pools: []string{os.Getenv(workerEnv)}, Tuning: patient, Logger: quiet(), Boundary: end.at,
	})
	if err != nil {
		return err
	}
	fmt.Println(workerReady)
	return w.Run(ctx)
}

// fuse ends the process at a boundary as a power cut would.
type fuse struct {
	mu       sync.Mutex
	boundary string
	left     int // how often the boundary is still to be reached
}

func (f *fuse) set(boundary string, nth int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boundary, f.left = boundary, nth
}

func (f *fuse) at(reached string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reached != f.boundary {
		return
	}
	if f.left--; f.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// workerProcess is a worker of its own process group.
type workerProcess struct{ cmd *exec.Cmd }

// spawnWorker starts a worker process that serves pool and waits until it does. It kills itself at the
// boundary that is given, if any.
func (p *platform) spawnWorker(t *testing.T, pool string, diesAt ...string) *workerProcess {
	t.Helper()
	return p.spawnWorkerWith(t, pool, workerDiesAt+"="+strings.Join(diesAt, ""))
}

// spawnWorkerWith is spawnWorker with variables in its environment.
func (p *platform) spawnWorkerWith(t *testing.T, pool string, environment ...string) *workerProcess {
	t.Helper()
	cmd := p.workerCommand(pool, environment...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	w := &workerProcess{cmd: cmd}
	t.Cleanup(func() { w.kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, workerReady, strings.TrimSpace(line))
	return w
}

// workerCommand is this very test binary as a worker that serves pool.
func (p *platform) workerCommand(pool string, environment ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // see above
	cmd.Env = append(append(os.Environ(), environment...),
		workerEnv+"="+pool, workerCatalogue+"="+p.catalogue, workerTemporal+"="+p.temporal.Address(), workerKey+"="+p.keyFile)
	cmd.Stderr = os.Stderr
	return cmd
}

// died waits until the worker has killed itself at its boundary.
func (w *workerProcess) died(t *testing.T) {
	t.Helper()
	require.ErrorContains(t, w.cmd.Wait(), "killed")
}

// kill ends the worker as a power cut would: no clean-up of its own.
func (w *workerProcess) kill() {
	if w.cmd.ProcessState != nil {
		return
	}
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}
