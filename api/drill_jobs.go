package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// DrillJobDocument is what a client writes of a restore drill job.
type DrillJobDocument struct {
	Name               string               `json:"name" doc:"Unique" maxLength:"200"`
	DatasourceID       string               `json:"datasource_id" format:"uuid" doc:"Whose latest backup is proved"`
	BackupJobID        string               `json:"backup_job_id,omitempty" format:"id" maxLength:"36" doc:"Only backups of this job; left out: any of the datasource"`
	TargetDatasourceID string               `json:"target_datasource_id,omitempty" format:"id" maxLength:"36" doc:"Where the temporary database is made; left out: on the datasource itself"`
	ScheduleCron       string               `json:"schedule_cron,omitempty" maxLength:"100" doc:"5 fields, or @weekly and its like; empty: by hand only"`
	ScheduleTimezone   string               `json:"schedule_timezone,omitempty" maxLength:"64" doc:"IANA name; default UTC"`
	OverlapPolicy      domain.OverlapPolicy `json:"overlap_policy,omitempty" enum:"skip,buffer_one" doc:"As that of a backup job; default skip"`
	MaxBackupAgeHours  int                  `json:"max_backup_age_hours,omitempty" minimum:"0" maximum:"87600" doc:"An older backup fails the drill; default 48"`
	Enabled            *bool                `json:"enabled,omitempty" doc:"Default true; false stops the schedule, a run by hand still works"`
	DrillOptions       domain.DrillOptions  `json:"drill_options,omitempty"`
}

// DrillJob is a restore drill job as clients see it.
type DrillJob struct {
	ID                 string               `json:"id" format:"uuid"`
	Name               string               `json:"name"`
	DatasourceID       string               `json:"datasource_id" format:"uuid"`
	BackupJobID        *string              `json:"backup_job_id"`
	TargetDatasourceID string               `json:"target_datasource_id" format:"uuid"`
	ScheduleCron       string               `json:"schedule_cron"`
	ScheduleTimezone   string               `json:"schedule_timezone"`
	OverlapPolicy      domain.OverlapPolicy `json:"overlap_policy" enum:"skip,buffer_one"`
	MaxBackupAgeHours  int                  `json:"max_backup_age_hours"`
	Enabled            bool                 `json:"enabled"`
	DrillOptions       domain.DrillOptions  `json:"drill_options"`
	SchedulePause      string               `json:"schedule_pause,omitempty" doc:"As that of a backup job"`
	LastExecutionAt    *time.Time           `json:"last_execution_at"`
	NextExecutionAt    *time.Time           `json:"next_execution_at" doc:"As that of a backup job"`
	Version            int64                `json:"version"`
	CreatedAt          time.Time            `json:"created_at"`
	UpdatedAt          time.Time            `json:"updated_at"`
	turns              turns
}

// DrillTime is the recovery time of one good drill.
type DrillTime struct {
	ExecutionID     string    `json:"execution_id" format:"uuid"`
	At              time.Time `json:"at"`
	RecoverySeconds float64   `json:"recovery_seconds" doc:"From the beginning of the restore until the database was loaded"`
	BackupBytes     int64     `json:"backup_bytes"`
}

type listDrillJobsInput struct {
	Paging
	DatasourceID string `query:"datasource_id" format:"uuid" doc:"Whose backups are proved, or where"`
	BackupJobID  string `query:"backup_job_id" format:"uuid"`
}

func (s *server) registerDrillJobs() {
	tags, path := []string{drillRuns.tag}, "/api/restore-drill-jobs"
	read, write := requires(auth.RestoreDrillJobsRead), requires(auth.RestoreDrillJobsWrite)
	register(s, read, huma.Operation{
		OperationID: "list-drill-jobs", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List restore drill jobs",
	}, s.listDrillJobs)
	register(s, write, huma.Operation{
		OperationID: "create-drill-job", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Create a restore drill job",
		Description: "Assertions need `datasources.query` too.", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createDrillJob)
	register(s, read, huma.Operation{
		OperationID: "get-drill-job", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a restore drill job",
		Errors: []int{http.StatusNotFound},
	}, s.getDrillJob)
	register(s, write, huma.Operation{
		OperationID: "update-drill-job", Method: http.MethodPatch, Path: path + "/{id}", Tags: tags, Summary: "Change a restore drill job",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.updateDrillJob)
	register(s, write, huma.Operation{
		OperationID: "delete-drill-job", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a restore drill job",
		Description:   "Its runs stay. One that runs right now is not deleted (409).",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.deleteDrillJob)
	register(s, read, huma.Operation{
		OperationID: "list-drill-times", Method: http.MethodGet, Path: path + "/{id}/recovery-times", Tags: tags,
		Summary: "How long restores took", Description: "Of the last 100 good drills, the newest first.", Errors: []int{http.StatusNotFound},
	}, s.listDrillTimes)
	register(s, requires(auth.RestoreDrillJobsRun), huma.Operation{
		OperationID: "run-drill-job", Method: http.MethodPost, Path: path + "/{id}/run", Tags: tags, Summary: "Prove the latest backup now",
		Description:   "Answers at once with the queued run. One run of a job runs at a time: 409 names the active one.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.runDrill)
	s.registerRuns(drillRuns)
}

func (s *server) listDrillJobs(ctx context.Context, in *listDrillJobsInput) (*body[page[DrillJob]], error) {
	rows, next, err := s.db.ListDrillJobs(ctx, db.JobFilter{DatasourceID: in.DatasourceID, BackupJobID: in.BackupJobID}, in.page())
	if err != nil {
		return nil, err
	}
	out := pageOf(rows, next, viewDrillJob)
	return out, s.withJitter(ctx, startingOf(out.Body.Items, (*DrillJob).starting)...)
}

func (s *server) getDrillJob(ctx context.Context, in *ByID) (*versioned[DrillJob], error) {
	row, err := s.db.GetDrillJob(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "drill job", in.ID)
	}
	out := &versioned[DrillJob]{etag(row.Version), viewDrillJob(row)}
	return out, s.withJitter(ctx, out.Body.starting())
}

func (s *server) createDrillJob(ctx context.Context, in *body[DrillJobDocument]) (*created[DrillJob], error) {
	var row db.DrillJob
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	err := s.db.InTx(ctx, func(q *db.Queries) error {
		if err := s.mayAssert(ctx, q, "create-drill-job", db.DrillJob{}, row); err != nil {
			return err
		}
		if err := checkDrillJob(ctx, q, row); err != nil {
			return err
		}
		var err error
		if row, err = q.CreateDrillJob(ctx, row); err != nil {
			return err
		}
		if err := q.AddAudit(ctx, audited(ctx, "restore_drill_job.create", "restore_drill_job", row.ID, map[string]any{"after": viewDrillJob(row)})); err != nil {
			return err
		}
		return s.scheduleDrill(ctx, q, "", row)
	})
	if err != nil {
		return nil, err
	}
	out := &created[DrillJob]{"/api/restore-drill-jobs/" + row.ID, etag(row.Version), viewDrillJob(row)}
	s.withJitterSaved(ctx, out.Body.starting())
	return out, nil
}

func (s *server) updateDrillJob(ctx context.Context, in *patchOf[DrillJobDocument]) (*versioned[DrillJob], error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var before, row db.DrillJob
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if row, err = q.GetDrillJob(ctx, in.ID); err != nil {
			return missing(err, "drill job", in.ID)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before = row
		document := documentOfDrillJob(row)
		if err := in.Body.ApplyTo(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		if err := s.mayAssert(ctx, q, "update-drill-job", before, row); err != nil {
			return err
		}
		if err := checkDrillJob(ctx, q, row); err != nil {
			return err
		}
		if row, err = q.UpdateDrillJob(ctx, row); err != nil {
			return raced(err, wanted)
		}
		changes, err := changed(viewDrillJob(before), viewDrillJob(row))
		if err != nil {
			return err
		}
		if err := q.AddAudit(ctx, audited(ctx, "restore_drill_job.update", "restore_drill_job", row.ID, changes)); err != nil {
			return err
		}
		return s.scheduleDrill(ctx, q, before.ScheduleCron, row)
	})
	if err != nil {
		return nil, err
	}
	out := &versioned[DrillJob]{etag(row.Version), viewDrillJob(row)}
	s.withJitterSaved(ctx, out.Body.starting())
	return out, nil
}

func (s *server) deleteDrillJob(ctx context.Context, in *DeleteInput) (*empty, error) {
	var row db.DrillJob
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = deletable(ctx, q, in, db.DrillJobsTable, q.GetDrillJob, func(r db.DrillJob) int64 { return r.Version }); err != nil {
			return missing(err, "drill job", in.ID)
		}
		if err := q.DeleteDrillJob(ctx, in.ID); err != nil {
			return missing(err, "drill job", in.ID)
		}
		if err := q.AddAudit(ctx, audited(ctx, "restore_drill_job.delete", "restore_drill_job", row.ID, map[string]any{"before": viewDrillJob(row)})); err != nil {
			return err
		}
		return s.unschedule(ctx, contract.DrillScheduleID(row.ID), row.ScheduleCron)
	})
	return nil, err
}

func (s *server) listDrillTimes(ctx context.Context, in *ByID) (*body[list[DrillTime]], error) {
	if _, err := s.db.GetDrillJob(ctx, in.ID); err != nil {
		return nil, missing(err, "drill job", in.ID)
	}
	times, err := s.db.DrillTimes(ctx, in.ID, 100)
	if err != nil {
		return nil, err
	}
	out := make([]DrillTime, len(times))
	for i, t := range times {
		out[i] = DrillTime{ExecutionID: t.ExecutionID, At: t.At, RecoverySeconds: t.Recovery.Seconds(), BackupBytes: t.Bytes}
	}
	return &body[list[DrillTime]]{list[DrillTime]{out}}, nil
}

func (s *server) runDrill(ctx context.Context, in *ByID) (*acceptedRun, error) {
	job, err := s.db.GetDrillJob(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "drill job", in.ID)
	}
	target, err := s.db.GetDatasource(ctx, job.TargetDatasourceID)
	if err != nil {
		return nil, err
	}
	if !target.Enabled {
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Datasource %q is disabled; enable it first.", target.Name))
	}
	run, err := s.newRun(ctx, drillRuns, job.ID)
	if err != nil {
		return nil, err
	}
	return s.launchRun(ctx, run, runLaunch{
		kind: drillRuns, pool: target.Pool, action: "restore_drill_job.run", resource: "restore_drill_job",
		labels:  contract.Labels{Job: job.Name, Datasource: target.Name, Storage: "that of the backup"},
		summary: "Prove that the latest backup restores, on " + target.Name,
	})
}

// mayAssert refuses SQL that is to read a datasource's backup, on a server, to those who may not send both any themselves.
// SQL that stays as it is and is to read another one is new there.
func (s *server) mayAssert(ctx context.Context, q *db.Queries, operation string, before, after db.DrillJob) error {
	same := before.DatasourceID == after.DatasourceID && before.TargetDatasourceID == after.TargetDatasourceID &&
		reflect.DeepEqual(before.DrillOptions.Assertions, after.DrillOptions.Assertions)
	if len(after.DrillOptions.Assertions) == 0 || same {
		return nil
	}
	return s.mayQuery(ctx, q, operation, after.DatasourceID, after.TargetDatasourceID)
}

// checkDrillJob refuses a job that can not work. Run it in a transaction.
func checkDrillJob(ctx context.Context, q *db.Queries, job db.DrillJob) error {
	source, err := q.GetDatasource(ctx, job.DatasourceID)
	if err != nil {
		return missingField(err, "datasource_id", "datasource", job.DatasourceID)
	}
	target, err := q.GetDatasource(ctx, job.TargetDatasourceID)
	if err != nil {
		return missingField(err, "target_datasource_id", "datasource", job.TargetDatasourceID)
	}
	v := job.DrillOptions.Validate(source.Type).Under("drill_options")
	if !domain.SameFamily(source.Type, target.Type) {
		v.Add("target_datasource_id", "can not be: a backup of a %s datasource is not restored on a %s one", source.Type, target.Type)
	}
	if source.Config.Databases != nil && len(job.DrillOptions.Assertions) > 0 {
		v.Add("drill_options.assertions", "are for one database, and the datasource is a whole server; leave them empty")
	}
	if job.BackupJobID != nil {
		backups, err := q.GetBackupJob(ctx, *job.BackupJobID)
		if err != nil {
			return missingField(err, "backup_job_id", "backup job", *job.BackupJobID)
		}
		if backups.DatasourceID != source.ID {
			v.Add("backup_job_id", "is a job of another datasource")
		}
	}
	return v.OrNil()
}

// fill checks the document and writes it into row.
func (d DrillJobDocument) fill(row *db.DrillJob) domain.Invalid {
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
	if d.MaxBackupAgeHours == 0 {
		d.MaxBackupAgeHours = domain.DefaultBackupAge
	}
	if d.MaxBackupAgeHours < 1 || d.MaxBackupAgeHours > 87600 {
		v.Add("max_backup_age_hours", "is %d; give 1 to 87600", d.MaxBackupAgeHours)
	}
	row.Name, row.DatasourceID, row.BackupJobID = strings.TrimSpace(d.Name), d.DatasourceID, nil
	if row.TargetDatasourceID = d.TargetDatasourceID; row.TargetDatasourceID == "" {
		row.TargetDatasourceID = row.DatasourceID
	}
	if d.BackupJobID != "" {
		row.BackupJobID = &d.BackupJobID
	}
	row.ScheduleCron, row.ScheduleTimezone, row.OverlapPolicy, row.Enabled = d.ScheduleCron, d.ScheduleTimezone, d.OverlapPolicy, d.Enabled == nil || *d.Enabled
	row.MaxBackupAgeHours, row.DrillOptions = int32(min(d.MaxBackupAgeHours, 87600)), d.DrillOptions //nolint:gosec // bounded
	row.SchedulePause = pauseThatStays(row.Enabled, row.ScheduleCron, row.SchedulePause)
	return v
}

func documentOfDrillJob(row db.DrillJob) DrillJobDocument {
	d := DrillJobDocument{
		Name: row.Name, DatasourceID: row.DatasourceID, TargetDatasourceID: row.TargetDatasourceID, ScheduleCron: row.ScheduleCron,
		ScheduleTimezone: row.ScheduleTimezone, OverlapPolicy: row.OverlapPolicy, MaxBackupAgeHours: int(row.MaxBackupAgeHours), Enabled: &row.Enabled,
		DrillOptions: row.DrillOptions,
	}
	if row.BackupJobID != nil {
		d.BackupJobID = *row.BackupJobID
	}
	return d
}

func viewDrillJob(row db.DrillJob) DrillJob {
	return DrillJob{
		ID: row.ID, Name: row.Name, DatasourceID: row.DatasourceID, BackupJobID: row.BackupJobID, TargetDatasourceID: row.TargetDatasourceID,
		ScheduleCron: row.ScheduleCron, ScheduleTimezone: row.ScheduleTimezone, OverlapPolicy: row.OverlapPolicy,
		MaxBackupAgeHours: int(row.MaxBackupAgeHours), Enabled: row.Enabled,
		DrillOptions: row.DrillOptions, LastExecutionAt: row.LastExecutionAt, SchedulePause: row.SchedulePause,
		NextExecutionAt: nextTime(row.Enabled, row.ScheduleCron, row.ScheduleTimezone, row.SchedulePause),
		Version:         row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, turns: turns{row.ScheduleSince, row.LastDueAt},
	}
}
