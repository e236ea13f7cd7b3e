package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// SyncJobDocument is what a client writes of a sync job.
type SyncJobDocument struct {
	Name               string                  `json:"name" doc:"Unique" maxLength:"200"`
	SourceDatasourceID string                  `json:"source_datasource_id" format:"uuid"`
	TargetDatasourceID string                  `json:"target_datasource_id" format:"uuid" doc:"Of the source's type; mysql and mariadb are one. Not the same database, also not by another name"`
	StorageLocationID  string                  `json:"storage_location_id,omitempty" format:"id" doc:"Where the backup in between is kept; left out: the dump streams straight into the restore (postgres, mysql, mariadb, mongodb)" maxLength:"36"`
	ScheduleCron       string                  `json:"schedule_cron,omitempty" maxLength:"100" doc:"5 fields, or @daily and its like; empty: by hand only"`
	ScheduleTimezone   string                  `json:"schedule_timezone,omitempty" maxLength:"64" doc:"IANA name; default UTC"`
	OverlapPolicy      domain.OverlapPolicy    `json:"overlap_policy,omitempty" enum:"skip,buffer_one" doc:"As that of a backup job; default skip"`
	OverwriteDirection domain.SyncDirection    `json:"overwrite_direction,omitempty" enum:"source_to_target,target_to_source" doc:"Default source_to_target: the target is overwritten"`
	DropExisting       bool                    `json:"drop_existing,omitempty" doc:"Replace what is overwritten when it is not empty. It is whole, old or new, at every moment"`
	RunOnManual        *bool                   `json:"run_on_manual,omitempty" doc:"Default true; false: only the schedule runs it, and a run that failed or was cancelled can be tried again"`
	Enabled            *bool                   `json:"enabled,omitempty" doc:"Default true; false stops the schedule, a run by hand still works"`
	RetentionPolicy    *domain.RetentionPolicy `json:"retention_policy,omitempty" doc:"Of the backups in between: max_backups is how many are kept, 0 for all; pinned ones stay and do not count. Left out as a whole: max_backups 1, auto_delete. In one that is given, auto_delete left out is off: then all are kept"`
	BackupOptions      domain.BackupOptions    `json:"backup_options,omitempty" doc:"How the backup is made. With include_tables or exclude_tables the overwritten database has only what is in the backup"`
	SyncOptions        domain.SyncOptions      `json:"sync_options,omitempty"`
	ConfirmationPhrase string                  `json:"confirmation_phrase,omitempty" maxLength:"300" doc:"RESTORE and the name of the datasource that is overwritten; asked for when a job is made, and when a change makes it overwrite something else"`
}

// SyncJob is a sync job as clients see it.
type SyncJob struct {
	ID                 string                 `json:"id" format:"uuid"`
	Name               string                 `json:"name"`
	SourceDatasourceID string                 `json:"source_datasource_id" format:"uuid"`
	TargetDatasourceID string                 `json:"target_datasource_id" format:"uuid"`
	StorageLocationID  *string                `json:"storage_location_id" doc:"null: direct"`
	ScheduleCron       string                 `json:"schedule_cron"`
	ScheduleTimezone   string                 `json:"schedule_timezone"`
	OverlapPolicy      domain.OverlapPolicy   `json:"overlap_policy" enum:"skip,buffer_one"`
	OverwriteDirection domain.SyncDirection   `json:"overwrite_direction" enum:"source_to_target,target_to_source"`
	DropExisting       bool                   `json:"drop_existing"`
	RunOnManual        bool                   `json:"run_on_manual"`
	Enabled            bool                   `json:"enabled"`
	RetentionPolicy    domain.RetentionPolicy `json:"retention_policy"`
	BackupOptions      domain.BackupOptions   `json:"backup_options"`
	SyncOptions        domain.SyncOptions     `json:"sync_options"`
	SchedulePause      string                 `json:"schedule_pause,omitempty" doc:"As that of a backup job"`
	LastExecutionAt    *time.Time             `json:"last_execution_at"`
	NextExecutionAt    *time.Time             `json:"next_execution_at" doc:"As that of a backup job"`
	Version            int64                  `json:"version"`
	CreatedAt          time.Time              `json:"created_at"`
	UpdatedAt          time.Time              `json:"updated_at"`
	turns              turns
}

type listSyncJobsInput struct {
	Paging
	DatasourceID      string `query:"datasource_id" format:"uuid" doc:"On either side"`
	StorageLocationID string `query:"storage_location_id" format:"uuid"`
}

func (s *server) registerSyncJobs() {
	tags, path := []string{syncRuns.tag}, "/api/db-sync-jobs"
	read, write := requires(auth.DBSyncJobsRead), requires(auth.DBSyncJobsWrite)
	register(s, read, huma.Operation{
		OperationID: "list-sync-jobs", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List sync jobs",
	}, s.listSyncJobs)
	register(s, write, documentApproval(s, huma.Operation{
		OperationID: "create-sync-job", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Create a sync job",
		Description:   "SQL in sync_options needs `datasources.query` too.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}), withApprovals(s, s.createSyncJob))
	register(s, read, huma.Operation{
		OperationID: "get-sync-job", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a sync job",
		Errors: []int{http.StatusNotFound},
	}, s.getSyncJob)
	register(s, write, documentApproval(s, huma.Operation{
		OperationID: "update-sync-job", Method: http.MethodPatch, Path: path + "/{id}", Tags: tags, Summary: "Change a sync job",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}), patchWithApprovals(s, s.updateSyncJob))
	register(s, write, huma.Operation{
		OperationID: "delete-sync-job", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a sync job",
		Description:   "Its runs stay, and so do the backups that it has made. One that runs right now is not deleted (409).",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.deleteSyncJob)
	s.registerSyncRun(path, tags)
	s.registerRuns(syncRuns)
}

func (s *server) listSyncJobs(ctx context.Context, in *listSyncJobsInput) (*body[page[SyncJob]], error) {
	rows, next, err := s.db.ListSyncJobs(ctx, db.JobFilter{DatasourceID: in.DatasourceID, StorageLocationID: in.StorageLocationID}, in.page())
	if err != nil {
		return nil, err
	}
	out := pageOf(rows, next, viewSyncJob)
	return out, s.withJitter(ctx, startingOf(out.Body.Items, (*SyncJob).starting)...)
}

func (s *server) getSyncJob(ctx context.Context, in *ByID) (*versioned[SyncJob], error) {
	row, err := s.db.GetSyncJob(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "sync job", in.ID)
	}
	out := &versioned[SyncJob]{etag(row.Version), viewSyncJob(row)}
	return out, s.withJitter(ctx, out.Body.starting())
}

func (s *server) createSyncJob(ctx context.Context, in *body[SyncJobDocument]) (*created[SyncJob], error) {
	var row db.SyncJob
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		if err := s.mayMask(ctx, q, "create-sync-job", db.SyncJob{}, row); err != nil {
			return err
		}
		ends, err := checkSyncJob(ctx, q, row, in.Body.ConfirmationPhrase, true)
		if err != nil {
			return err
		}
		if row, err = q.CreateSyncJob(ctx, row); err != nil {
			return err
		}
		changes := map[string]any{"after": viewSyncJob(row)}
		if err := approveSync(ctx, q, db.SyncJob{}, row, ends, changes); err != nil {
			return err
		}
		if err := q.AddAudit(ctx, audited(ctx, "db_sync_job.create", "db_sync_job", row.ID, changes)); err != nil {
			return err
		}
		return s.scheduleSync(ctx, q, "", row)
	})
	if err != nil {
		return nil, err
	}
	out := &created[SyncJob]{"/api/db-sync-jobs/" + row.ID, etag(row.Version), viewSyncJob(row)}
	s.withJitterSaved(ctx, out.Body.starting())
	return out, nil
}

func (s *server) updateSyncJob(ctx context.Context, in *patchOf[SyncJobDocument]) (*versioned[SyncJob], error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var before, row db.SyncJob
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if row, err = q.GetSyncJob(ctx, in.ID); err != nil {
			return missing(err, "sync job", in.ID)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before = row
		document := documentOfSyncJob(row)
		if err := in.Body.ApplyTo(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		if err := s.mayMask(ctx, q, "update-sync-job", before, row); err != nil {
			return err
		}
		ends, err := checkSyncJob(ctx, q, row, document.ConfirmationPhrase, overwritesMore(before, row))
		if err != nil {
			return err
		}
		if row, err = q.UpdateSyncJob(ctx, row); err != nil {
			return raced(err, wanted)
		}
		changes, err := changed(viewSyncJob(before), viewSyncJob(row))
		if err != nil {
			return err
		}
		if err := approveSync(ctx, q, before, row, ends, changes); err != nil {
			return err
		}
		if err := q.AddAudit(ctx, audited(ctx, "db_sync_job.update", "db_sync_job", row.ID, changes)); err != nil {
			return err
		}
		return s.scheduleSync(ctx, q, before.ScheduleCron, row)
	})
	if err != nil {
		return nil, err
	}
	out := &versioned[SyncJob]{etag(row.Version), viewSyncJob(row)}
	s.withJitterSaved(ctx, out.Body.starting())
	return out, nil
}

// overwritesMore reports whether a change of a job needs to be confirmed: something else is overwritten, or
// something that was not empty may be from now on, or by something else.
func overwritesMore(before, after db.SyncJob) bool {
	return before.Into() != after.Into() || before.From() != after.From() || (after.DropExisting && !before.DropExisting)
}

func (s *server) deleteSyncJob(ctx context.Context, in *DeleteInput) (*empty, error) {
	var row db.SyncJob
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = deletable(ctx, q, in, db.SyncJobsTable, q.GetSyncJob, func(r db.SyncJob) int64 { return r.Version }); err != nil {
			return missing(err, "sync job", in.ID)
		}
		if err := q.DeleteSyncJob(ctx, in.ID); err != nil {
			return missing(err, "sync job", in.ID)
		}
		if err := q.AddAudit(ctx, audited(ctx, "db_sync_job.delete", "db_sync_job", row.ID, map[string]any{"before": viewSyncJob(row)})); err != nil {
			return err
		}
		return s.unschedule(ctx, contract.SyncScheduleID(row.ID), row.ScheduleCron)
	})
	return nil, err
}

// fill checks the document and writes it into row.
func (d SyncJobDocument) fill(row *db.SyncJob) domain.Invalid {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	if d.ScheduleTimezone == "" {
		d.ScheduleTimezone = "UTC"
	}
	schedule.CheckTimeZone(&v, "schedule_timezone", d.ScheduleTimezone)
	if d.ScheduleCron = strings.TrimSpace(d.ScheduleCron); d.ScheduleCron != "" {
		schedule.CheckCron(&v, "schedule_cron", d.ScheduleCron)
	}
	checkOverlap(&v, &d.OverlapPolicy)
	if d.OverwriteDirection == "" {
		d.OverwriteDirection = domain.SourceToTarget
	}
	if d.OverwriteDirection != domain.SourceToTarget && d.OverwriteDirection != domain.TargetToSource {
		v.Add("overwrite_direction", "is %q; use source_to_target or target_to_source", d.OverwriteDirection)
	}
	policy := domain.SyncRetention()
	if d.RetentionPolicy != nil {
		policy = *d.RetentionPolicy
	}
	if (policy != domain.RetentionPolicy{MaxBackups: policy.MaxBackups, AutoDelete: policy.AutoDelete}) {
		v.Add("retention_policy", "has more than max_backups and auto_delete, which is all that a sync's backups in between are kept by")
	}
	v = append(v, policy.Validate().Under("retention_policy")...)
	d.BackupOptions.Normalize()
	v = append(v, d.BackupOptions.ValidateForSync().Under("backup_options")...)

	row.Name, row.SourceDatasourceID, row.TargetDatasourceID = strings.TrimSpace(d.Name), d.SourceDatasourceID, d.TargetDatasourceID
	row.StorageLocationID = nil
	if d.StorageLocationID != "" {
		row.StorageLocationID = &d.StorageLocationID
	}
	row.ScheduleCron, row.ScheduleTimezone, row.OverlapPolicy, row.OverwriteDirection = d.ScheduleCron, d.ScheduleTimezone, d.OverlapPolicy, d.OverwriteDirection
	row.DropExisting, row.RunOnManual, row.Enabled = d.DropExisting, d.RunOnManual == nil || *d.RunOnManual, d.Enabled == nil || *d.Enabled
	row.RetentionPolicy, row.BackupOptions, row.SyncOptions = policy, d.BackupOptions, d.SyncOptions
	row.SchedulePause = pauseThatStays(row.Enabled, row.ScheduleCron, row.SchedulePause)
	return v
}

func documentOfSyncJob(row db.SyncJob) SyncJobDocument {
	d := SyncJobDocument{
		Name: row.Name, SourceDatasourceID: row.SourceDatasourceID, TargetDatasourceID: row.TargetDatasourceID,
		ScheduleCron: row.ScheduleCron, ScheduleTimezone: row.ScheduleTimezone, OverlapPolicy: row.OverlapPolicy, OverwriteDirection: row.OverwriteDirection,
		DropExisting: row.DropExisting, RunOnManual: &row.RunOnManual, Enabled: &row.Enabled,
		RetentionPolicy: &row.RetentionPolicy, BackupOptions: row.BackupOptions, SyncOptions: row.SyncOptions,
	}
	if row.StorageLocationID != nil {
		d.StorageLocationID = *row.StorageLocationID
	}
	return d
}

func viewSyncJob(row db.SyncJob) SyncJob {
	return SyncJob{
		ID: row.ID, Name: row.Name, SourceDatasourceID: row.SourceDatasourceID, TargetDatasourceID: row.TargetDatasourceID,
		StorageLocationID: row.StorageLocationID, ScheduleCron: row.ScheduleCron, ScheduleTimezone: row.ScheduleTimezone, OverlapPolicy: row.OverlapPolicy,
		OverwriteDirection: row.OverwriteDirection, DropExisting: row.DropExisting, RunOnManual: row.RunOnManual, Enabled: row.Enabled,
		RetentionPolicy: row.RetentionPolicy, BackupOptions: row.BackupOptions, SyncOptions: row.SyncOptions,
		LastExecutionAt: row.LastExecutionAt, SchedulePause: row.SchedulePause,
		NextExecutionAt: nextTime(row.Enabled, row.ScheduleCron, row.ScheduleTimezone, row.SchedulePause),
		Version:         row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, turns: turns{row.ScheduleSince, row.LastDueAt},
	}
}
