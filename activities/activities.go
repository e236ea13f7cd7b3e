// Package activities touches the world for the workflows: datasources through engines, storage
// locations through stores, the catalogue through db. An activity gets ids only; configuration
// with its secrets is read and opened here and goes no further.
package activities

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// OpenStore opens the store of a storage location for one use of it.
type OpenStore func(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig, use storage.Use) (storage.Store, error)

// Tuning is how patient and how parallel the activities are.
type Tuning struct {
	Attempts      int32         // tries of a step that moves data; see contract.Plan
	Heartbeat     time.Duration // silence after which a worker counts as lost, whole seconds; 0 is the workflow's default
	Uploads       int           // concurrent uploads of one backup
	ProgressEvery time.Duration // how often progress is written to Postgres and heartbeated
	Patience      time.Duration // how long a call waits for a storage location that is away; 0 is storage/retry's default
	ProbeLimit    time.Duration // of one test of a connection; 0 is defaultProbeLimit
	NotifyTimeout time.Duration // for one message to one recipient; 0 is notify.Timeout
	RecordEvery   time.Duration // how long stored chunks wait until they are made durable and recorded; 0 is archive's default
}

// DefaultTuning fits one backup on two cores.
func DefaultTuning() Tuning {
	return Tuning{Attempts: 8, Uploads: 4, ProgressEvery: time.Second}
}

// Options are what the activities work with.
type Options struct {
	DB      *db.DB
	Engines map[domain.DatasourceType]engine.Engine
	Open    OpenStore
	Tuning  Tuning
	// TemporalURL gives the web UI's page of a workflow run, "" where no UI is known.
	TemporalURL func(workflowID, runID string) string
	Logger      *slog.Logger
	// Temporal is told of executions that no longer wait; nil leaves them to find out.
	Temporal client.Client
	// Transfers is where the worker's data port is; nil where it has none.
	Transfers *contract.TransferOffer
	// HookCommands are the programs that hooks may run, absolute paths.
	HookCommands []string
	// Boundary is called at every boundary between two stages, see boundary.go. Only tests set it.
	Boundary func(name string)
}

// Activities holds the dependencies; every activity is a method.
type Activities struct {
	Options
	recordLimit time.Duration // of what was sent; 0 is the constant's. Only tests set it.
}

// New returns the activities over the given dependencies.
func New(o Options) *Activities { return &Activities{Options: o} }

// Register makes w run every activity of the contract.
func (a *Activities) Register(w worker.ActivityRegistry) {
	contract.EnsureSchedules.Register(w, a.EnsureSchedules)
	contract.SweepExecutions.Register(w, a.SweepExecutions)
	contract.PruneCatalogue.Register(w, a.PruneCatalogue)
	contract.BeginExecution.Register(w, a.BeginExecution)
	contract.QueueScheduledBackup.Register(w, a.QueueScheduledBackup)
	contract.Dump.Register(w, a.Dump)
	contract.Verify.Register(w, a.Verify)
	contract.DiscardBackup.Register(w, a.DiscardBackup)
	contract.RunHooks.Register(w, a.RunHooks)
	contract.FinishExecution.Register(w, a.FinishExecution)
	contract.CheckTarget.Register(w, a.CheckTarget)
	contract.CheckArchive.Register(w, a.CheckArchive)
	contract.StageRestore.Register(w, a.StageRestore)
	contract.PromoteRestore.Register(w, a.PromoteRestore)
	contract.DiscardRestore.Register(w, a.DiscardRestore)
	contract.DropStaging.Register(w, a.DropStaging)
	contract.ProbeDatasource.Register(w, a.ProbeDatasource)
	contract.ProbeStorage.Register(w, a.ProbeStorage)
	contract.ListFolder.Register(w, a.ListFolder)
	contract.CopyObject.Register(w, a.CopyObject)
	contract.DeleteObjects.Register(w, a.DeleteObjects)
	contract.MeasureUsage.Register(w, a.MeasureUsage)
	contract.ChooseDelivery.Register(w, a.ChooseDelivery)
	contract.Deliver.Register(w, a.Deliver)
	contract.GiveUpDelivery.Register(w, a.GiveUpDelivery)
	contract.SendSample.Register(w, a.SendSample)
	contract.ProbeStorageDraft.Register(w, a.ProbeStorageDraft)
	contract.OfferTransfer.Register(w, a.OfferTransfer)
	contract.MarkDeleting.Register(w, a.MarkDeleting)
	contract.EraseBackup.Register(w, a.EraseBackup)
	contract.RemoveExecution.Register(w, a.RemoveExecution)
	contract.PlanReconcile.Register(w, a.PlanReconcile)
	contract.SweepStorage.Register(w, a.SweepStorage)
	contract.ExpireBackups.Register(w, a.ExpireBackups)
	contract.PlanHealth.Register(w, a.PlanHealth)
	contract.CheckPool.Register(w, a.CheckPool)
	contract.FinishHealth.Register(w, a.FinishHealth)
	contract.FinishRetention.Register(w, a.FinishRetention)
	contract.CheckCopy.Register(w, a.CheckCopy)
	contract.CheckGeneration.Register(w, a.CheckGeneration)
	contract.HealStorage.Register(w, a.HealStorage)
	contract.AnnounceDamage.Register(w, a.AnnounceDamage)
	contract.LogExecution.Register(w, a.LogExecution)
	contract.StartScrub.Register(w, a.StartScrub)
	contract.NextScrub.Register(w, a.NextScrub)
	contract.FinishScrub.Register(w, a.FinishScrub)
	contract.ImportBackups.Register(w, a.ImportBackups)
	contract.MoveBackup.Register(w, a.MoveBackup)
	contract.ChooseSource.Register(w, a.ChooseSource)
	contract.RecordTarget.Register(w, a.RecordTarget)
	contract.BeginReplica.Register(w, a.BeginReplica)
	contract.CopyBackup.Register(w, a.CopyBackup)
	a.registerRuns(w)
}

func (a *Activities) engineFor(t domain.DatasourceType) (engine.Engine, error) {
	e, ok := a.Engines[t]
	if !ok {
		return nil, failure.New(failure.Unsupported, "choose engine", "no engine for datasource type "+string(t),
			"Upgrade the worker, or remove the datasource.")
	}
	return e, nil
}

// engineOf chooses the engine that dumps a datasource: that of one database, or of all of a server.
func (a *Activities) engineOf(d db.Datasource) (engine.Engine, error) {
	e, err := a.engineFor(d.Type)
	if err != nil {
		return nil, err
	}
	return databases.For(e, d.Config)
}

// engineReading chooses the engine that reads a backup.
func (a *Activities) engineReading(m *archive.Manifest) (engine.Engine, error) {
	e, err := a.engineFor(m.DatasourceType)
	if err != nil {
		return nil, err
	}
	return databases.ForStreams(e, engineStreams(m))
}

func aboutDatasource(name string) failure.Subject {
	return failure.Subject{Side: failure.Datasource, Name: "datasource " + quoted(name)}
}

func aboutStorage(name string) failure.Subject {
	return failure.Subject{Side: failure.Storage, Name: "storage location " + quoted(name)}
}

func quoted(name string) string { return `"` + name + `"` }
