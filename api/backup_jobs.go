package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// BackupJobDocument is what a client writes of a backup job.
type BackupJobDocument struct {
	Name              string                  `json:"name" doc:"Unique" maxLength:"200"`
	DatasourceID      string                  `json:"datasource_id" format:"uuid"`
	StorageLocationID string                  `json:"storage_location_id" format:"uuid" doc:"Its pool must be the datasource's"`
	ScheduleCron      string                  `json:"schedule_cron,omitempty" maxLength:"100" doc:"Five fields, or one of @hourly, @daily, @weekly, @monthly, @yearly; empty: it runs by hand only"`
	ScheduleTimezone  string                  `json:"schedule_timezone,omitempty" maxLength:"64" doc:"IANA name; default UTC"`
	OverlapPolicy     domain.OverlapPolicy    `json:"overlap_policy,omitempty" enum:"skip,buffer_one" doc:"A run that is due while the job still runs: skip (default), it does not take place; buffer_one, it comes next, at most one"`
	Enabled           *bool                   `json:"enabled,omitempty" doc:"Default true; false stops the schedule, a run by hand still works"`
	RetentionPolicy   *domain.RetentionPolicy `json:"retention_policy,omitempty" doc:"Applied after each completed backup. Left out as a whole: max_backups 3, auto_delete. In one that is given, what is left out is off, auto_delete too"`
	ConfirmRetention  bool                    `json:"confirm_retention,omitempty" doc:"Of a change: go on although the new policy deletes several backups at once. Not stored"`
	BackupOptions     domain.BackupOptions    `json:"backup_options,omitempty"`
}

// BackupJob is a backup job as clients see it.
type BackupJob struct {
	ID                string                 `json:"id" format:"uuid"`
	Name              string                 `json:"name"`
	DatasourceID      string                 `json:"datasource_id" format:"uuid"`
	StorageLocationID string                 `json:"storage_location_id" format:"uuid"`
	ScheduleCron      string                 `json:"schedule_cron"`
	ScheduleTimezone  string                 `json:"schedule_timezone"`
	OverlapPolicy     domain.OverlapPolicy   `json:"overlap_policy" enum:"skip,buffer_one"`
	SchedulePause     string                 `json:"schedule_pause,omitempty" doc:"Set while somebody has paused the schedule in Temporal, with their reason; it is ended there, or by disabling and enabling the job"`
	Enabled           bool                   `json:"enabled"`
	RetentionPolicy   domain.RetentionPolicy `json:"retention_policy"`
	BackupOptions     domain.BackupOptions   `json:"backup_options"`
	LastExecutionAt   *time.Time             `json:"last_execution_at"`
	NextExecutionAt   *time.Time             `json:"next_execution_at" doc:"When the cron is due next; once that has come, by when the run begins (setting schedules.jitter_seconds), until it has. Never in the past; null when no run is to come"`
	Version           int64                  `json:"version"`
	CreatedAt         time.Time              `json:"created_at"`
	UpdatedAt         time.Time              `json:"updated_at"`
	turns             turns

	LastRetention *domain.RetentionResult `json:"last_retention,omitempty" doc:"What the retention did after the last backup"`
}

func (s *server) registerBackupJobs() {
	tags, path := []string{"Backup jobs"}, "/api/backup-jobs"
	read, write := requires(auth.BackupJobsRead), requires(auth.BackupJobsWrite)
	register(s, read, huma.Operation{
		OperationID: "list-backup-jobs", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List backup jobs",
	}, s.listBackupJobs)
	register(s, write, huma.Operation{
		OperationID: "create-backup-job", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Create a backup job",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict, http.StatusServiceUnavailable},
	}, s.createBackupJob)
	register(s, read, huma.Operation{
		OperationID: "get-backup-job", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a backup job",
		Errors: []int{http.StatusNotFound},
	}, s.getBackupJob)
	register(s, write, documentApproval(s, huma.Operation{
		OperationID: "update-backup-job", Method: http.MethodPatch, Path: path + "/{id}", Tags: tags, Summary: "Change a backup job",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}), patchWithApprovals(s, s.updateBackupJob))
	register(s, write, huma.Operation{
		OperationID: "delete-backup-job", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a backup job",
		Description:   "Its executions and backups stay. One that runs right now is not deleted (409).",
		DefaultStatus: http.StatusNoContent,
		Errors:        []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, s.deleteBackupJob)
	register(s, mayTest(auth.BackupJobsWrite), testOperation("backup-job", path, tags), s.testBackupJob)
	register(s, requires(auth.BackupJobsRun), runOperation(path, tags), s.runBackupJob)
}

func (s *server) listBackupJobs(ctx context.Context, in *Paging) (*body[page[BackupJob]], error) {
	rows, next, err := s.db.ListBackupJobs(ctx, in.page())
	if err != nil {
		return nil, err
	}
	out := pageOf(rows, next, viewJob)
	jobs := make([]*BackupJob, len(out.Body.Items))
	for i := range out.Body.Items {
		jobs[i] = &out.Body.Items[i]
	}
	if err := s.withJitter(ctx, startingOf(out.Body.Items, (*BackupJob).starting)...); err != nil {
		return nil, err
	}
	return out, s.withRetention(ctx, jobs...)
}

func (s *server) getBackupJob(ctx context.Context, in *ByID) (*versioned[BackupJob], error) {
	row, err := s.db.GetBackupJob(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "backup job", in.ID)
	}
	out := &versioned[BackupJob]{etag(row.Version), viewJob(row)}
	if err := s.withJitter(ctx, out.Body.starting()); err != nil {
		return nil, err
	}
	return out, s.withRetention(ctx, &out.Body)
}

func (s *server) createBackupJob(ctx context.Context, in *body[BackupJobDocument]) (*created[BackupJob], error) {
	var row db.BackupJob
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		if err := s.maySetSQL(ctx, q, "create-backup-job", row.DatasourceID, domain.BackupOptions{}, row.BackupOptions); err != nil {
			return err
		}
		if err := checkEnds(ctx, q, row); err != nil {
			return err
		}
		var err error
		if row, err = q.CreateBackupJob(ctx, row); err != nil {
			return err
		}
		if err := q.AddAudit(ctx, audited(ctx, "backup_job.create", "backup_job", row.ID, map[string]any{"after": viewJob(row)})); err != nil {
			return err
		}
		return s.putSchedule(ctx, q, nil, row)
	})
	if err != nil {
		return nil, err
	}
	out := &created[BackupJob]{"/api/backup-jobs/" + row.ID, etag(row.Version), viewJob(row)}
	s.withJitterSaved(ctx, out.Body.starting())
	return out, nil
}

func (s *server) updateBackupJob(ctx context.Context, in *patchOf[BackupJobDocument]) (*versioned[BackupJob], error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var row db.BackupJob
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if row, err = q.GetBackupJob(ctx, in.ID); err != nil {
			return missing(err, "backup job", in.ID)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before := row
		document := documentOfJob(row)
		if err := in.Body.ApplyTo(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		had := before.BackupOptions
		if row.DatasourceID != before.DatasourceID {
			had = domain.BackupOptions{} // its SQL would run on another one now
		}
		if err := s.maySetSQL(ctx, q, "update-backup-job", row.DatasourceID, had, row.BackupOptions); err != nil {
			return err
		}
		if err := checkEnds(ctx, q, row); err != nil {
			return err
		}
		if err := confirmRetention(ctx, q, before, row, document.ConfirmRetention); err != nil {
			return err
		}
		if row, err = q.UpdateBackupJob(ctx, row); err != nil {
			return raced(err, wanted)
		}
		secrets := replaced("backup_options", before.BackupOptions.Secrets(), row.BackupOptions.Secrets())
		changes, err := changed(viewJob(before), viewJob(row), secrets...)
		if err != nil {
			return err
		}
		if err := approveRetention(ctx, q, before, row, changes); err != nil {
			return err
		}
		if err := q.AddAudit(ctx, audited(ctx, "backup_job.update", "backup_job", row.ID, changes)); err != nil {
			return err
		}
		return s.putSchedule(ctx, q, &before, row)
	})
	if err != nil {
		return nil, err
	}
	out := &versioned[BackupJob]{etag(row.Version), viewJob(row)}
	s.withJitterSaved(ctx, out.Body.starting())
	return out, nil
}

func (s *server) deleteBackupJob(ctx context.Context, in *DeleteInput) (*empty, error) {
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		row, err := deletable(ctx, q, in, db.BackupJobsTable, q.GetBackupJob, func(r db.BackupJob) int64 { return r.Version })
		if err != nil {
			return missing(err, "backup job", in.ID)
		}
		if err := q.DeleteBackupJob(ctx, in.ID); err != nil {
			return missing(err, "backup job", in.ID)
		}
		if err := q.AddAudit(ctx, audited(ctx, "backup_job.delete", "backup_job", row.ID, map[string]any{"before": viewJob(row)})); err != nil {
			return err
		}
		if row.ScheduleCron == "" {
			return nil
		}
		return s.removeSchedule(ctx, contract.BackupScheduleID(row.ID))
	})
}

// maySetSQL refuses SQL that is to run on a datasource to those who may not send it any themselves, and referenced files,
// which are any of the worker's, to those who may not make a datasource of them.
func (s *server) maySetSQL(ctx context.Context, q *db.Queries, operation, datasourceID string, before, after domain.BackupOptions) error {
	newHooks := after.Hooks.HaveSQL() && !reflect.DeepEqual(before.Hooks, after.Hooks)
	newFiles := after.ReferencedFiles != nil && !reflect.DeepEqual(before.ReferencedFiles, after.ReferencedFiles)
	var needed []auth.Permission
	if newHooks || newFiles {
		needed = append(needed, auth.DatasourcesQuery)
	}
	if newFiles {
		needed = append(needed, auth.DatasourcesWrite)
	}
	for _, p := range needed {
		may, err := mayOn(ctx, q, p, datasourceID)
		if err != nil {
			return err
		}
		if !may {
			return s.refuse(ctx, operation, []auth.Permission{p})
		}
	}
	return nil
}

// checkEnds refuses a job whose datasource or storage locations do not exist, or whose ends no one
// worker reaches. Run it in a transaction.
func checkEnds(ctx context.Context, q *db.Queries, job db.BackupJob) error {
	datasource, err := q.GetDatasource(ctx, job.DatasourceID)
	if err != nil {
		return missingField(err, "datasource_id", "datasource", job.DatasourceID)
	}
	storage, err := q.GetStorageLocation(ctx, job.StorageLocationID)
	if err != nil {
		return missingField(err, "storage_location_id", "storage location", job.StorageLocationID)
	}
	if datasource.Pool != storage.Pool {
		return invalidField("storage_location_id", "%s", poolsDiffer(datasource, storage))
	}
	if err := job.BackupOptions.CheckFor(datasource.Type, datasource.Config).Under("backup_options").OrNil(); err != nil {
		return err
	}
	for i, target := range job.BackupOptions.StorageTargets {
		field := "backup_options." + domain.TargetField(i)
		if target.StorageLocationID == job.StorageLocationID {
			return invalidField(field, "is the job's own location, which always comes first")
		}
		// No foreign key keeps it.
		if err := q.HoldStorageLocation(ctx, target.StorageLocationID); err != nil {
			return missingField(err, field, "storage location", target.StorageLocationID)
		}
		location, err := q.GetStorageLocation(ctx, target.StorageLocationID)
		switch {
		case err != nil:
			return err
		case !location.Enabled:
			return invalidField(field, "is storage location %q, which is disabled; enable it first", location.Name)
		case location.Pool != datasource.Pool:
			return invalidField(field, "%s", poolsDiffer(datasource, location))
		}
	}
	return nil
}

// fill checks the document and writes it into row, which holds the stored job, or nothing when it is new.
func (d BackupJobDocument) fill(row *db.BackupJob) domain.Invalid {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	if d.ScheduleTimezone == "" {
		d.ScheduleTimezone = "UTC"
	}
	schedule.CheckTimeZone(&v, "schedule_timezone", d.ScheduleTimezone)
	d.ScheduleCron = strings.TrimSpace(d.ScheduleCron)
	if d.ScheduleCron != "" {
		schedule.CheckCron(&v, "schedule_cron", d.ScheduleCron)
	}
	checkOverlap(&v, &d.OverlapPolicy)
	policy := domain.DefaultRetention()
	if d.RetentionPolicy != nil {
		policy = *d.RetentionPolicy
	}
	v = append(v, policy.Validate().Under("retention_policy")...)
	d.BackupOptions.Normalize()
	v = append(v, unmaskOptions(&d.BackupOptions, row.BackupOptions).Under("backup_options")...)
	v = append(v, d.BackupOptions.Validate().Under("backup_options")...)

	row.Name, row.DatasourceID, row.StorageLocationID = strings.TrimSpace(d.Name), d.DatasourceID, d.StorageLocationID
	row.ScheduleCron, row.ScheduleTimezone, row.OverlapPolicy = d.ScheduleCron, d.ScheduleTimezone, d.OverlapPolicy
	row.Enabled = d.Enabled == nil || *d.Enabled
	row.SchedulePause = pauseThatStays(row.Enabled, row.ScheduleCron, row.SchedulePause)
	row.NextExecutionAt = nextRun(*row)
	row.RetentionPolicy, row.BackupOptions = policy, d.BackupOptions
	return v
}

func documentOfJob(row db.BackupJob) BackupJobDocument {
	return BackupJobDocument{
		Name: row.Name, DatasourceID: row.DatasourceID, StorageLocationID: row.StorageLocationID,
		ScheduleCron: row.ScheduleCron, ScheduleTimezone: row.ScheduleTimezone, Enabled: &row.Enabled, OverlapPolicy: row.OverlapPolicy,
		RetentionPolicy: &row.RetentionPolicy, BackupOptions: maskedOptions(row.BackupOptions),
	}
}

func viewJob(row db.BackupJob) BackupJob {
	return BackupJob{
		ID: row.ID, Name: row.Name, DatasourceID: row.DatasourceID, StorageLocationID: row.StorageLocationID,
		ScheduleCron: row.ScheduleCron, ScheduleTimezone: row.ScheduleTimezone, Enabled: row.Enabled,
		OverlapPolicy: row.OverlapPolicy, SchedulePause: row.SchedulePause,
		RetentionPolicy: row.RetentionPolicy, BackupOptions: maskedOptions(row.BackupOptions),
		LastExecutionAt: row.LastExecutionAt, NextExecutionAt: nextRun(row),
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, turns: turns{row.ScheduleSince, row.LastDueAt},
	}
}
