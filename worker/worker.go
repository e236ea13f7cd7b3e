// Package worker is the composition root of the workers: it builds the dependencies of the
// activities, registers workflows and activities, and serves one Temporal task queue a pool.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/engine/all"
	"github.com/dataguardian/dataguardian/internal/storage/open"
	"github.com/dataguardian/dataguardian/workflows"
)

// Options are what a worker process is given.
type Options struct {
	DB       *db.DB
	Temporal client.Client
	Pools    []string // task queues to serve; at least one
	// ClientToolsPath are directories in which pg_dump and its like are looked for before each engine's usual
	// places. With OnlyClientToolsPath, which only tests set, those are not searched.
	ClientToolsPath     []string
	OnlyClientToolsPath bool
	// HookCommands are the programs that hooks of backup jobs may run, absolute paths; empty is none.
	HookCommands []string
	// TemporalUIURL and Namespace make the links to the web UI; "" for none.
	TemporalUIURL string
	Namespace     string
	// Slots is how many activities that move data a pool runs at once, 0 for DefaultSlots. Memory grows with it:
	// about 100 MiB for each backup or restore that runs.
	Slots int
	// DataListen is host:port on which downloads are served to the API, "" for none; DataURL is the
	// address under which the API reaches it, "" to make one of what is listened on.
	DataListen, DataURL string

	Tuning activities.Tuning // zero for activities.DefaultTuning
	Logger *slog.Logger
	// Boundary is activities.Options.Boundary; only tests set it.
	Boundary func(name string)
}

// DefaultSlots fits two cores: two transfers that saturate them, and two that wait for a server.
const DefaultSlots = 4

// shortSlots is how many activities that move no data a pool runs besides: records, tests of connections,
// looks at files, clean-ups.
const shortSlots = 8

// deliverySlots is how many messages to people are on their way at once. Each waits for somebody else's server, and costs
// little else.
const deliverySlots = 64

const (
	// stopPatience is how long a stopping worker waits for its work. Short steps finish in it;
	// long ones see the stop at once, end their child processes and are taken over elsewhere.
	stopPatience = 20 * time.Second
	// heartbeatEvery bounds how long a cancellation takes to reach an activity.
	heartbeatEvery = 2 * time.Second
)

// Worker serves the task queues of its pools.
type Worker struct {
	fatal    chan struct{} // closed by fail
	fatalErr error
	failOnce sync.Once
	workers  []sdk.Worker
	pools    []string
	logger   *slog.Logger
	acts     *activities.Activities
	dataPort dataport.Options
	dispatch dispatcher
}

// New builds a worker; Run starts it.
func New(o Options) (*Worker, error) {
	if len(o.Pools) == 0 {
		return nil, errors.New("worker: no pool to serve; give --pools default")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Tuning == (activities.Tuning{}) {
		o.Tuning = activities.DefaultTuning()
	}
	if o.Slots <= 0 {
		o.Slots = DefaultSlots
	}
	acts := activities.New(activities.Options{
		DB:          o.DB,
		Temporal:    o.Temporal,
		Engines:     all.Engines(all.Options{ClientTools: o.ClientToolsPath, OnlyClientTools: o.OnlyClientToolsPath}),
		Open:        new(open.Opener).Open,
		Tuning:      o.Tuning,
		TemporalURL: runURL(o.TemporalUIURL, o.Namespace),
		Logger:      o.Logger,
		Boundary:    o.Boundary,

		HookCommands: o.HookCommands,
	})
	w := &Worker{fatal: make(chan struct{}), pools: o.Pools, logger: o.Logger, acts: acts, dispatch: dispatcher{o.DB, o.Temporal, o.Logger}}
	if o.DataListen != "" {
		w.dataPort = dataport.Options{
			Listen: o.DataListen, URL: o.DataURL, Key: dataport.Key(o.DB.TransferKey()), Pools: o.Pools,
			Sources: acts.TransferSources(), Logger: o.Logger,
		}
	}
	for _, pool := range o.Pools {
		queue := contract.TaskQueue(pool)
		w.workers = append(w.workers, serve(o, queue, o.Slots, acts, w.fail), serveShort(o, queue, acts, w.fail))
	}
	w.workers = append(w.workers, serve(o, contract.SystemTaskQueue, shortSlots, acts, w.fail), serveShort(o, contract.SystemTaskQueue, acts, w.fail),
		serveActivities(o, contract.DeliveryTaskQueue, deliverySlots, acts, w.fail))
	return w, nil
}

func serve(o Options, queue string, slots int, acts *activities.Activities, fatal func(error)) sdk.Worker {
	w := sdk.New(o.Temporal, queue, options(slots, fatal))
	RegisterWorkflows(w)
	acts.Register(w)
	return w
}

// serveShort serves the activities of a queue's workflows that move no data.
func serveShort(o Options, queue string, acts *activities.Activities, fatal func(error)) sdk.Worker {
	return serveActivities(o, contract.ShortTaskQueue(queue), shortSlots, acts, fatal)
}

// serveActivities serves a queue on which there are no workflows.
func serveActivities(o Options, queue string, slots int, acts *activities.Activities, fatal func(error)) sdk.Worker {
	only := options(slots, fatal)
	only.DisableWorkflowWorker = true
	w := sdk.New(o.Temporal, queue, only)
	acts.Register(w)
	return w
}

// options are those of every queue. fatal is called when Temporal will not be served any more, as when the namespace is gone.
func options(slots int, fatal func(error)) sdk.Options {
	return sdk.Options{
		OnFatalError:                       fatal,
		MaxConcurrentActivityExecutionSize: slots,
		MaxHeartbeatThrottleInterval:       heartbeatEvery,
		DefaultHeartbeatThrottleInterval:   heartbeatEvery,
		WorkerStopTimeout:                  stopPatience,
	}
}

// RegisterWorkflows makes r run every workflow of the contract. Replay tests use it too.
func RegisterWorkflows(r sdk.WorkflowRegistry) {
	contract.Backup.Register(r, workflows.Backup)
	contract.Restore.Register(r, workflows.Restore)
	contract.CleanRestore.Register(r, workflows.CleanRestore)
	contract.CheckDatasource.Register(r, workflows.CheckDatasource)
	contract.CheckStorage.Register(r, workflows.CheckStorage)
	contract.ListFiles.Register(r, workflows.ListFiles)
	contract.CopyFile.Register(r, workflows.CopyFile)
	contract.DeleteFiles.Register(r, workflows.DeleteFiles)
	contract.MeasureStorage.Register(r, workflows.MeasureStorage)
	contract.CheckStorageDraft.Register(r, workflows.CheckStorageDraft)
	contract.OpenTransfer.Register(r, workflows.OpenTransfer)
	contract.DeleteBackup.Register(r, workflows.DeleteBackup)
	contract.Reconcile.Register(r, workflows.Reconcile)
	contract.ApplyRetention.Register(r, workflows.ApplyRetention)
	contract.CheckHealth.Register(r, workflows.CheckHealth)
	contract.VerifyBackup.Register(r, workflows.VerifyBackup)
	contract.ScrubStorage.Register(r, workflows.ScrubStorage)
	contract.ImportStorage.Register(r, workflows.ImportStorage)
	contract.Replicate.Register(r, workflows.Replicate)
	contract.Sync.Register(r, workflows.Sync)
	contract.RestoreDrill.Register(r, workflows.RestoreDrill)
	contract.Upkeep.Register(r, workflows.Upkeep)
	contract.Notify.Register(r, workflows.Notify)
	contract.PingHeartbeat.Register(r, workflows.PingHeartbeat)
	contract.TestChannel.Register(r, workflows.TestChannel)
}

// Run serves until ctx ends, then stops: polling ends at once, short work finishes, long work is
// handed back for another worker.
func (w *Worker) Run(ctx context.Context) error {
	nameBinary()
	port, err := w.openDataPort()
	if err != nil {
		return err
	}
	defer port.stop()
	for i, worker := range w.workers {
		if err := worker.Start(); err != nil {
			w.stop(i)
			return fmt.Errorf("start a worker of pools %q: %w", w.pools, err)
		}
	}
	w.logger.Info("worker is serving", "pools", w.pools)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-w.fatal:
			stop()
		case <-ctx.Done():
		}
	}()
	w.dispatch.run(ctx)
	w.logger.Info("worker is stopping", "pools", w.pools)
	var stopping sync.WaitGroup
	stopping.Go(port.stop)
	w.stop(len(w.workers))
	stopping.Wait()
	return w.failure()
}

// fail ends Run: a worker that Temporal refuses for good is started anew by whoever supervises it, and then sets up
// what is missing, or says why it can not.
func (w *Worker) fail(err error) {
	w.failOnce.Do(func() {
		w.fatalErr = fmt.Errorf("serve pools %q: %w", w.pools, err)
		close(w.fatal)
	})
}

// failure is what fail was given, nil when it was not called.
func (w *Worker) failure() error {
	select {
	case <-w.fatal:
		return w.fatalErr
	default:
		return nil
	}
}

// stop ends the first n workers side by side, so that the patience is spent once.
func (w *Worker) stop(n int) {
	done := make(chan struct{})
	for _, worker := range w.workers[:n] {
		go func() {
			worker.Stop()
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
}

// runURL makes links to a run's page in the Temporal web UI.
func runURL(ui, namespace string) func(workflowID, runID string) string {
	if ui == "" {
		return nil
	}
	return func(workflowID, runID string) string {
		link, err := url.JoinPath(ui, "namespaces", url.PathEscape(namespace), "workflows", url.PathEscape(workflowID), url.PathEscape(runID), "history")
		if err != nil {
			return ""
		}
		return link
	}
}
