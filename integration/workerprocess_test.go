package integration

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
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
	w, err := worker.New(worker.Options{
		DB: database, Temporal: dialled, Pools: []string{os.Getenv(workerEnv)}, Tuning: patient, Logger: quiet(), Boundary: dieAt(os.Getenv(workerDiesAt)),
	})
	if err != nil {
		return err
	}
	fmt.Println(workerReady)
	return w.Run(ctx)
}

// dieAt makes a hook that ends the process at a boundary as a power cut would.
func dieAt(boundary string) func(string) {
	return func(reached string) {
		if reached == boundary {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
}

// workerProcess is a worker of its own process group.
type workerProcess struct{ cmd *exec.Cmd }

// spawnWorker starts a worker process that serves pool and waits until it does. It kills itself at the
// boundary that is given, if any.
func (p *platform) spawnWorker(t *testing.T, pool string, diesAt ...string) *workerProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // this very test binary
	cmd.Env = append(os.Environ(),
		workerEnv+"="+pool, workerCatalogue+"="+p.catalogue, workerTemporal+"="+p.temporal.Address(), workerKey+"="+p.keyFile, workerDiesAt+"="+strings.Join(diesAt, ""))
	cmd.Stderr = os.Stderr
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
