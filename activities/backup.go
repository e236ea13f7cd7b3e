package activities

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// backup is one backup execution with what it works on, opened.
type backup struct {
	execution  db.Execution
	datasource db.Datasource
	storage    db.StorageLocation
	engine     engine.Engine
	store      storage.Store
	options    domain.BackupOptions
	parentDir  string // the parent's directory on the storage, "" for a full
	increments bool   // later backups of its job will build on it; set for a dump
}

// loadBackup reads the execution and opens its storage location. close must be called.
func (a *Activities) loadBackup(ctx context.Context, executionID string) (*backup, error) {
	return a.loadCopy(ctx, executionID, nil)
}

// loadCopy is loadBackup for a copy of a backup, which is on another storage location; nil is its own.
func (a *Activities) loadCopy(ctx context.Context, executionID string, storageID *string) (*backup, error) {
	e, err := a.DB.GetExecution(ctx, executionID)
	if err != nil {
		return nil, err
	}
	if storageID != nil && e.StorageLocationID != nil && *storageID != *e.StorageLocationID {
		found, err := a.DB.GetCopy(ctx, executionID, *storageID)
		if err != nil {
			return nil, err
		}
		e.StorageLocationID, e.Metadata.ManifestPath = storageID, found.ManifestPath
	}
	if e.DatasourceID == nil || e.StorageLocationID == nil {
		return nil, failure.New(failure.NotFound, "read execution "+executionID,
			"its datasource or storage location was deleted", "Create the job again and run it.")
	}
	b := &backup{execution: e}
	if b.datasource, err = a.DB.GetDatasource(ctx, *e.DatasourceID); err != nil {
		return nil, err
	}
	if b.engine, err = a.engineOf(b.datasource); err != nil {
		return nil, failure.WithSubject(err, aboutDatasource(b.datasource.Name))
	}
	if b.storage, err = a.DB.GetStorageLocation(ctx, *e.StorageLocationID); err != nil {
		return nil, err
	}
	if e.Metadata.Options != nil {
		b.options = *e.Metadata.Options
	}
	b.options.Normalize()
	if b.store, err = a.openStorage(ctx, b.storage, storage.Use{BandwidthMbps: b.options.BandwidthLimitMbps}); err != nil {
		return nil, err
	}
	return b, nil
}

// openStorage opens a location for a use, which shares the location's limits with all others.
func (a *Activities) openStorage(ctx context.Context, location db.StorageLocation, use storage.Use) (storage.Store, error) {
	use.LocationID = location.ID
	if use.Patience == 0 {
		use.Patience = a.Tuning.Patience
	}
	store, err := a.Open(ctx, location.Type, location.Config, use)
	return store, failure.WithSubject(err, aboutStorage(location.Name))
}

func (b *backup) close() { _ = b.store.Close() }

func (b *backup) id() string { return b.execution.ID }

// manifestKey is where an attempt of the dump (from 1) writes its manifest.
func (b *backup) manifestKey(attempt int32) string {
	return archive.ManifestKey(b.directory(), b.execution.CreatedAt, b.execution.ID, attempt)
}

// manifestPrefix begins the keys of the manifests of every attempt.
func (b *backup) manifestPrefix() string {
	return archive.ManifestPrefix(b.directory(), b.execution.CreatedAt, b.execution.ID)
}

// directory is the datasource's directory on the storage: that of the parent, whose generation is
// below it. The first attempt pins it, because it holds the datasource's name, which people may
// change while a backup runs or later.
func (b *backup) directory() string {
	if b.parentDir != "" {
		return b.parentDir
	}
	if pinned := b.execution.Metadata.ManifestPath; pinned != "" {
		return directoryOf(pinned)
	}
	return archive.DatasourceDir(b.datasource.Name, b.datasource.ID)
}

// directoryOf is the datasource's directory that a manifest is in.
func directoryOf(manifestPath string) string { return path.Dir(path.Dir(path.Dir(manifestPath))) }

// folder is where an attempt of the dump (from 1) stores chunks.
func (b *backup) folder(attempt int32) string {
	return archive.FolderOf(b.execution.Generation, b.execution.ID, attempt)
}

// stored reports whether this execution stored the object with this key. What other backups of
// the generation store begins with the same prefix.
func (b *backup) stored(key string) bool {
	return b.ownFolder(archive.FolderIn(b.directory(), key))
}

// chunkPrefix begins the keys of all chunks that this execution stored, whatever the attempt, and of
// others: see stored.
func (b *backup) chunkPrefix() string { return archive.ChunkDir(b.directory(), b.folder(1)) }

func (b *backup) dumpOptions() engine.DumpOptions {
	return engine.DumpOptions{
		IncludeTables: b.options.IncludeTables,
		ExcludeTables: b.options.ExcludeTables,
		ExtraArgs:     b.options.ExtraArgs,
		Jobs:          b.options.ParallelJobs,
		IdleTimeout:   b.idleTimeout(),
		Increments:    b.increments || makesIncrements(b.options),
	}
}

func makesIncrements(o domain.BackupOptions) bool {
	return o.BackupType == domain.Incremental || o.BackupType == domain.Differential
}

// loadJob asks the job, if there still is one, for what an execution's own options do not say: whether it makes
// incremental or differential backups, as they may ask for one full in between, and how the server of
// referenced files is reached, as they hold no secrets.
func (a *Activities) loadJob(ctx context.Context, b *backup) error {
	if b.execution.JobID == nil {
		return nil
	}
	job, err := a.DB.GetBackupJob(ctx, *b.execution.JobID)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b.increments = makesIncrements(job.BackupOptions)
	b.options = b.options.Detached() // the execution's options share what they point to, and stay without secrets
	b.options.ReferencedFiles.UseLoginOf(job.BackupOptions.ReferencedFiles)
	return nil
}

// heldBack is the most that waits to be stored while the dump tool can not go on, in bytes: what a
// worker's memory holds.
const heldBack = 256 << 20

// idleTimeout is how long the dump may move no byte. A limited bandwidth holds it up as well, for as
// long as it takes to send what was read before.
func (b *backup) idleTimeout() time.Duration {
	timeout := time.Duration(b.options.IdleTimeoutMinutes) * time.Minute
	if mbps := b.options.BandwidthLimitMbps; mbps > 0 {
		timeout += time.Duration(heldBack * 8 / (mbps * 1e6) * float64(time.Second))
	}
	return timeout
}

func (b *backup) header(r engine.Report) archive.Header {
	started := b.execution.CreatedAt
	if b.execution.StartedAt != nil {
		started = *b.execution.StartedAt
	}
	return archive.Header{
		ExecutionID:    b.execution.ID,
		DatasourceID:   b.datasource.ID,
		DatasourceName: b.datasource.Name,
		DatasourceType: b.datasource.Type,
		BackupType:     b.execution.BackupType,
		ServerVersion:  r.ServerVersion,
		ToolVersions:   r.ToolVersions,
		Options:        b.options.WithoutSecrets(), // a manifest is stored in clear
		Warnings:       b.warnings(r),
		StartedAt:      started,
		FinishedAt:     time.Now().UTC(),
	}
}
