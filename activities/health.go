package activities

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// defaultProbeLimit bounds one test of a connection; the status of a longer one is timeout.
const defaultProbeLimit = 15 * time.Second

func (a *Activities) probeLimit() time.Duration {
	if a.Tuning.ProbeLimit > 0 {
		return a.Tuning.ProbeLimit
	}
	return defaultProbeLimit
}

// probePatience is how long a test waits for a storage location that can not be reached: to say so is
// what it is for.
const probePatience = 2 * time.Second

// ProbeDatasource connects to a datasource and records what came of it.
func (a *Activities) ProbeDatasource(ctx context.Context, in contract.CheckInput) (contract.CheckResult, error) {
	d, err := a.DB.GetDatasource(ctx, in.ID)
	if err != nil {
		return contract.CheckResult{}, toTemporal(ctx, err)
	}
	settings, err := a.DB.HealthSettings(ctx)
	if err != nil {
		return contract.CheckResult{}, toTemporal(ctx, err)
	}
	result, err := a.probeDatasource(ctx, d, settings)
	return result, toTemporal(ctx, err)
}

// probeDatasource connects to a datasource, records what came of it, and tells people of a transition. The error is
// that of the recording.
func (a *Activities) probeDatasource(ctx context.Context, d db.Datasource, settings domain.HealthSettings) (contract.CheckResult, error) {
	probing, cancel := context.WithTimeout(ctx, a.probeLimit())
	defer cancel()
	started := time.Now()
	var info engine.Info
	e, err := a.engineFor(d.Type)
	if err == nil {
		err = a.reach(probing, d, func(src engine.Source) (err error) {
			info, err = e.Probe(probing, src)
			return err
		})
	}
	result := checkResult(time.Since(started), failure.WithSubject(err, aboutDatasource(d.Name)), d.Config.SecretValues()...)
	if err == nil {
		result.LatencyMS, result.Version = info.Latency.Milliseconds(), info.Version
	}
	err = a.DB.RecordDatasourceHealth(ctx, db.DatasourceHealth{
		DatasourceID: d.ID, Status: result.Status,
		Latency: time.Duration(result.LatencyMS) * time.Millisecond, ServerVersion: result.Version, Message: result.Message,
		Judge: func(before domain.HealthState) (domain.DatasourceStatus, domain.HealthState, *db.Notification) {
			status, next, notify := settings.Datasource(before, result.Status, result.LatencyMS)
			return status, next, a.linked(ctx, tellDatasource(d, notify, result, settings))
		},
	})
	return result, err
}

// ProbeStorage writes, reads back, lists and deletes a small object, and records what came of it.
func (a *Activities) ProbeStorage(ctx context.Context, in contract.CheckInput) (contract.CheckResult, error) {
	location, err := a.DB.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return contract.CheckResult{}, toTemporal(ctx, err)
	}
	settings, err := a.DB.HealthSettings(ctx)
	if err != nil {
		return contract.CheckResult{}, toTemporal(ctx, err)
	}
	result, _, err := a.probeStorage(ctx, location, settings)
	return result, toTemporal(ctx, err)
}

// probeStorage writes, reads back, lists and deletes a small object, records what came of it, and tells people of a
// transition. The error is that of the recording.
func (a *Activities) probeStorage(ctx context.Context, location db.StorageLocation, settings domain.HealthSettings) (contract.CheckResult, domain.StorageLocationStatus, error) {
	probing, cancel := context.WithTimeout(ctx, a.probeLimit())
	defer cancel()
	started := time.Now()
	usage, err := a.probeStore(probing, location)
	result := checkResult(time.Since(started), failure.WithSubject(err, aboutStorage(location.Name)))
	result.AvailableBytes = usage.Available
	status := locationStatus(usage, err)
	health := db.StorageHealth{
		StorageLocationID: location.ID, Status: result.Status, LocationStatus: status,
		Latency: time.Duration(result.LatencyMS) * time.Millisecond, Message: result.Message,
		Judge: func(before domain.HealthState) (domain.HealthState, *db.Notification) {
			next, notify := settings.Storage(before, status)
			return next, a.linked(ctx, tellStorage(location, notify, result))
		},
	}
	if usage.Used >= 0 {
		health.UsedBytes = &usage.Used
	}
	if usage.Available >= 0 {
		free := float64(usage.Available) / 1e9
		health.AvailableSpaceGB = &free
	}
	return result, status, a.DB.RecordStorageHealth(ctx, health)
}

func (a *Activities) probeStore(ctx context.Context, location db.StorageLocation) (storage.Usage, error) {
	store, err := a.openStorage(ctx, location, storage.Use{Patience: probePatience})
	if err != nil {
		return unknownUsage, err
	}
	defer func() { _ = store.Close() }()
	wiped, err := a.checkRepository(ctx, location, store)
	if err != nil {
		return unknownUsage, err
	}
	if wiped {
		return unknownUsage, failure.WithSubject(failure.New(failure.Corrupt, openRepository, "everything that was stored there is gone: the location was wiped",
			"Verify its backups: what has a copy on another location is copied back. New backups go there all the same."), aboutStorage(location.Name))
	}
	return probeOpen(ctx, store)
}

// unknownUsage is that of a location which could not be asked.
var unknownUsage = storage.Usage{Used: -1, Available: -1, Capacity: -1}

// probeOpen makes sure that an opened location works, and asks what it holds.
func probeOpen(ctx context.Context, store storage.Store) (storage.Usage, error) {
	if err := roundTrip(ctx, store, "probe/"+probeName(ctx)); err != nil {
		return unknownUsage, err
	}
	// It works. That adding up what a large location holds takes longer than a test may is no trouble of the location.
	limit := defaultProbeLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / 2
	}
	measuring, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	usage, err := store.Usage(measuring)
	if err != nil && measuring.Err() != nil && ctx.Err() == nil {
		return unknownUsage, nil
	}
	return usage, err
}

// probeName is unique to the try, so that tests which run together do not read each other's probe.
func probeName(ctx context.Context) string {
	info := activity.GetInfo(ctx)
	return info.WorkflowExecution.RunID + "-" + rand.Text()
}

func roundTrip(ctx context.Context, store storage.Store, key string) error {
	body := []byte("DataGuardian writes, reads and deletes this to test the storage location. " + rand.Text())
	if err := store.Put(ctx, key, bytes.NewReader(body), int64(len(body))); err != nil {
		return err
	}
	// Whatever goes wrong from here on, the probe does not stay behind.
	defer func() { _ = store.Delete(context.WithoutCancel(ctx), key) }()
	if err := store.Sync(ctx); err != nil { // a disk may notice only here that it is full
		return err
	}
	r, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	read, err := io.ReadAll(r)
	_ = r.Close()
	if err != nil {
		return err
	}
	if !bytes.Equal(read, body) {
		return failure.New(failure.Corrupt, "read the probe back", "it is not what was written", "Check the disk or server behind the location.")
	}
	listed := false
	if err := store.List(ctx, key, func(storage.Object) error { listed = true; return nil }); err != nil {
		return err
	}
	if !listed {
		return failure.New(failure.Corrupt, "list the probe", "it was written but is not listed", "Check the permission to list.")
	}
	return store.Delete(ctx, key)
}

// checkResult turns the outcome of a probe into what clients see.
func checkResult(took time.Duration, err error, secrets ...string) contract.CheckResult {
	result := contract.CheckResult{Status: domain.HealthOK, LatencyMS: took.Milliseconds()}
	if err == nil {
		return result
	}
	result.Message = failure.Redact(err.Error(), secrets...)
	result.Hint = failure.HintOf(err)
	switch failure.ClassOf(err) {
	case failure.AuthFailed:
		result.Status = domain.HealthAuthFailed
	case failure.Timeout:
		result.Status = domain.HealthTimeout
	case failure.Unreachable:
		result.Status = domain.HealthUnreachable
	default:
		result.Status = domain.HealthError
	}
	return result
}

// locationStatus: a location that works is full all the same before nothing fits any more.
func locationStatus(usage storage.Usage, err error) domain.StorageLocationStatus {
	switch {
	case err == nil && usage.Full(), failure.ClassOf(err) == failure.StorageFull:
		return domain.StorageIsFull
	case err == nil:
		return domain.StorageHealthy
	default:
		return domain.StorageUnreachable
	}
}
