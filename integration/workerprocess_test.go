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
		DB: database, Temporal: dialled, Pools: []string{os.Getenv(workerEnv)}, Tuning: patient, Logger: quiet(),
	})
	if err != nil {
		return err
	}
	fmt.Println(workerReady)
	return w.Run(ctx)
}

// workerProcess is a worker of its own process group.
type workerProcess struct{ cmd *exec.Cmd }

// spawnWorker starts a worker process that serves pool and waits until it does.
func (p *platform) spawnWorker(t *testing.T, pool string) *workerProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // this very test binary
	cmd.Env = append(os.Environ(),
		workerEnv+"="+pool, workerCatalogue+"="+p.catalogue, workerTemporal+"="+p.temporal.Address(), workerKey+"="+p.keyFile)
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

// kill ends the worker as a power cut would: no clean-up of its own.
func (w *workerProcess) kill() {
	if w.cmd.ProcessState != nil {
		return
	}
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}
