package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// mayMask refuses SQL that is to run on a datasource to those who may not send it any themselves. SQL that stays as it is
// and is to run on another datasource is new there.
func (s *server) mayMask(ctx context.Context, q *db.Queries, operation string, before, after db.SyncJob) error {
	same := before.Into() == after.Into() && reflect.DeepEqual(before.SyncOptions.PostRestoreSQL, after.SyncOptions.PostRestoreSQL)
	if len(after.SyncOptions.PostRestoreSQL) == 0 || same {
		return nil
	}
	return s.mayQuery(ctx, q, operation, after.Into())
}

// mayQuery refuses an operation to those who may not send SQL to each of the datasources.
func (s *server) mayQuery(ctx context.Context, q *db.Queries, operation string, datasourceIDs ...string) error {
	for _, id := range datasourceIDs {
		may, err := mayOn(ctx, q, auth.DatasourcesQuery, id)
		if err != nil {
			return err
		}
		if !may {
			return s.refuse(ctx, operation, []auth.Permission{auth.DatasourcesQuery})
		}
	}
	return nil
}

// syncEnds are what a sync job works on.
type syncEnds struct {
	from, into db.Datasource
	storage    *db.StorageLocation // nil: direct
}

func loadSyncEnds(ctx context.Context, q *db.Queries, job db.SyncJob) (ends syncEnds, err error) {
	source, err := q.GetDatasource(ctx, job.SourceDatasourceID)
	if err != nil {
		return ends, missingField(err, "source_datasource_id", "datasource", job.SourceDatasourceID)
	}
	target, err := q.GetDatasource(ctx, job.TargetDatasourceID)
	if err != nil {
		return ends, missingField(err, "target_datasource_id", "datasource", job.TargetDatasourceID)
	}
	ends.from, ends.into = source, target
	if job.OverwriteDirection == domain.TargetToSource {
		ends.from, ends.into = target, source
	}
	if job.StorageLocationID != nil {
		storage, err := q.GetStorageLocation(ctx, *job.StorageLocationID)
		if err != nil {
			return ends, missingField(err, "storage_location_id", "storage location", *job.StorageLocationID)
		}
		ends.storage = &storage
	}
	return ends, nil
}

// checkSyncJob refuses a job that can not work, or that would copy in a circle; and one that nobody has
// confirmed, where that is needed. It gives what the job works on. Run it in a transaction.
func checkSyncJob(ctx context.Context, q *db.Queries, job db.SyncJob, phrase string, confirm bool) (syncEnds, error) {
	ends, err := loadSyncEnds(ctx, q, job)
	if err != nil {
		return ends, err
	}
	v := ends.check(job)
	if len(v) == 0 && job.Enabled {
		loop, err := syncLoop(ctx, q, job, ends)
		if err != nil {
			return ends, err
		}
		if loop != nil {
			v.Add("target_datasource_id", "closes a circle of enabled sync jobs: %s copies what this one writes back into what it reads; disable one of them",
				strings.Join(loop, ", then "))
		}
	}
	if wanted := restorePhrase(ends.into.Name); confirm && phrase != wanted {
		v.Add("confirmation_phrase", "does not confirm that datasource %q is overwritten; send exactly: %s", ends.into.Name, wanted)
	}
	return ends, v.OrNil()
}

func (e syncEnds) check(job db.SyncJob) domain.Invalid {
	var v domain.Invalid
	if job.SourceDatasourceID == job.TargetDatasourceID {
		v.Add("target_datasource_id", "is the source")
		return v
	}
	if !domain.SameFamily(e.from.Type, e.into.Type) {
		v.Add("target_datasource_id", "can not be: a %s database is not copied into a %s one", e.from.Type, e.into.Type)
		return v
	}
	from := domain.AddressOf(e.from.Type, e.from.Config, e.from.Pool)
	if from.Overlaps(domain.AddressOf(e.into.Type, e.into.Config, e.into.Pool)) {
		v.Add("target_datasource_id", "has the address of the source: %q and %q are the same, or one is inside the other", e.from.Name, e.into.Name)
	}
	if e.from.Pool != e.into.Pool {
		v.Add("target_datasource_id", "is in pool %q and the source in pool %q: no worker reaches both", e.into.Pool, e.from.Pool)
	}
	if job.ScheduleCron != "" && !job.DropExisting {
		v.Add("drop_existing", "must be true for a job with a schedule: every run after the first finds what the one before brought")
	}
	whole := e.from.Config.Databases != nil
	switch {
	case whole != (e.into.Config.Databases != nil):
		v.Add("target_datasource_id", "does not fit: one of the two is a whole server, the other one database")
	case !whole && e.into.Config.Target(e.into.Type) == "":
		v.Add("target_datasource_id", "names no database that could be overwritten")
	case whole && len(job.SyncOptions.PostRestoreSQL) > 0:
		v.Add("sync_options.post_restore_sql", "is for one database, and the source is a whole server; make a sync job for each database")
	}
	v = append(v, job.BackupOptions.CheckFor(e.from.Type, e.from.Config).Under("backup_options")...)
	v = append(v, job.SyncOptions.Validate(e.into.Type).Under("sync_options")...)
	if !whole {
		v = append(v, job.SyncOptions.ValidateNames(e.into.Type, e.into.Config.Database, e.from.Config.Database).Under("sync_options")...)
	}
	return append(v, e.checkStorage()...)
}

func (e syncEnds) checkStorage() domain.Invalid {
	var v domain.Invalid
	switch {
	case e.storage == nil && (!domain.SyncsDirectly(e.from.Type) || e.from.Config.Databases != nil):
		v.Add("storage_location_id", "is required: this datasource can not be dumped and restored at the same time")
	case e.storage != nil && e.storage.Pool != e.into.Pool:
		v.Add("storage_location_id", "%s", poolsDiffer(e.into, *e.storage))
	}
	return v
}

// syncLoop looks for a circle that an enabled job closes.
func syncLoop(ctx context.Context, q *db.Queries, job db.SyncJob, ends syncEnds) ([]string, error) {
	ctx = db.Unscoped(ctx) // a circle goes through what its maker may not see, too
	others, err := q.OtherEnabledSyncJobs(ctx, job.ID)
	if err != nil {
		return nil, err
	}
	edges := make([]domain.SyncEdge, 0, len(others))
	for _, other := range others {
		theirs, err := loadSyncEnds(ctx, q, other)
		if err != nil {
			return nil, err
		}
		edges = append(edges, theirs.edge(other.Name))
	}
	return domain.SyncLoop(edges, ends.edge(job.Name)), nil
}

func (e syncEnds) edge(name string) domain.SyncEdge {
	return domain.SyncEdge{
		Job: fmt.Sprintf("%q", name), From: domain.AddressOf(e.from.Type, e.from.Config, e.from.Pool),
		Into: domain.AddressOf(e.into.Type, e.into.Config, e.into.Pool),
	}
}

func (s *server) registerSyncRun(path string, tags []string) {
	register(s, requires(auth.DBSyncJobsRun), documentApproval(s, huma.Operation{
		OperationID: "run-sync-job", Method: http.MethodPost, Path: path + "/{id}/run", Tags: tags, Summary: "Sync now",
		Description:   "Answers at once with the queued run. One run of a job runs at a time: 409 names the active one.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}), func(ctx context.Context, in *byIDApproved) (*acceptedRun, error) {
		return s.runSync(in.withApproval(ctx), in.ID, nil)
	})
	register(s, requires(auth.DBSyncJobsRun), documentApproval(s, huma.Operation{
		OperationID: "retry-sync-execution", Method: http.MethodPost, Path: syncRuns.path + "/{id}/retry", Tags: tags,
		Summary:       "Try a failed sync again",
		Description:   "A half that was finished is not repeated: where the backup is good, only the restore is done.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}), s.retrySync)
}

func (s *server) retrySync(ctx context.Context, in *byIDApproved) (*acceptedRun, error) {
	row, err := s.jobRun(ctx, syncRuns, in.ID)
	switch {
	case err != nil:
		return nil, err
	case row.Status != domain.Failed && row.Status != domain.Cancelled:
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("The run is %s; only one that failed or was cancelled is tried again.", row.Status))
	case row.JobID == nil:
		return nil, problem.New(http.StatusConflict, "The job of this run is gone.")
	}
	return s.runSync(in.withApproval(ctx), *row.JobID, &row)
}

// runSync starts a run of a job. That of a retry takes the backup of the failed run, if it is good and of the
// same source.
func (s *server) runSync(ctx context.Context, jobID string, failed *db.Run) (*acceptedRun, error) {
	job, err := s.db.GetSyncJob(ctx, jobID)
	if err != nil {
		return nil, missing(err, "sync job", jobID)
	}
	if !job.RunOnManual && failed == nil { // a run that failed is made good whoever began it
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Sync job %q runs by its schedule only; set run_on_manual to run it by hand.", job.Name))
	}
	ends, err := loadSyncEnds(ctx, s.db.Queries, job)
	if err != nil {
		return nil, err
	}
	if err := ends.check(job).OrNil(); err != nil {
		return nil, err
	}
	labels := contract.Labels{Job: job.Name, Datasource: ends.into.Name, Storage: "none, direct"}
	for _, side := range []db.Datasource{ends.from, ends.into} {
		if !side.Enabled {
			return nil, problem.New(http.StatusConflict, fmt.Sprintf("Datasource %q is disabled; enable it first.", side.Name))
		}
	}
	if ends.storage != nil {
		labels.Storage = ends.storage.Name
		if err := runnable(ends.from, *ends.storage); err != nil {
			return nil, err
		}
	}
	run, err := s.newRun(ctx, syncRuns, job.ID)
	if err != nil {
		return nil, err
	}
	plan := job.Plan()
	run.Metadata.Sync = &plan
	if failed != nil {
		run.Metadata.Trigger, run.Metadata.RetryOf = domain.TriggerRetry, failed.ID
		if run.BackupExecutionID, err = s.reusableBackup(ctx, *failed, plan); err != nil {
			return nil, err
		}
	}
	return s.launchRun(ctx, run, runLaunch{
		kind: syncRuns, pool: ends.into.Pool, labels: labels, action: "db_sync_job.run", resource: "db_sync_job",
		summary:      fmt.Sprintf("Copy %s into %s", ends.from.Name, ends.into.Name),
		irreversible: ends.overwrites(run),
	})
}

// reusableBackup is the backup of a failed run that a retry need not make again; nil when there is none.
func (s *server) reusableBackup(ctx context.Context, failed db.Run, plan domain.SyncPlan) (*string, error) {
	if failed.BackupExecutionID == nil || plan.StorageLocationID == "" {
		return nil, nil //nolint:nilnil // nothing to reuse
	}
	backup, err := s.db.GetExecution(db.Unscoped(ctx), *failed.BackupExecutionID) // the run is theirs
	if err != nil {
		return nil, err
	}
	if backup.Status != domain.Completed || backup.DeletingAt != nil || backup.DatasourceID == nil || *backup.DatasourceID != plan.FromDatasourceID {
		return nil, nil //nolint:nilnil // nothing to reuse
	}
	if !sameContent(failed.Metadata.Sync, plan) {
		return nil, nil //nolint:nilnil // tables or rows that are not to be copied any more may be in it
	}
	return &backup.ID, nil
}

// sameContent reports whether a run that was made by one plan backed up what another one wants.
func sameContent(before *domain.SyncPlan, now domain.SyncPlan) bool {
	if before == nil {
		return false
	}
	var had, wanted domain.BackupOptions
	if before.BackupOptions != nil {
		had = *before.BackupOptions
	}
	if now.BackupOptions != nil {
		wanted = *now.BackupOptions
	}
	return slices.Equal(had.IncludeTables, wanted.IncludeTables) && slices.Equal(had.ExcludeTables, wanted.ExcludeTables) &&
		slices.Equal(had.ExtraArgs, wanted.ExtraArgs) // some leave rows out
}
