package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// SyncJobDocument is what is written of a sync job.
type SyncJobDocument struct {
	Name               string                  `json:"name"`
	SourceDatasourceID string                  `json:"source_datasource_id"`
	TargetDatasourceID string                  `json:"target_datasource_id"`
	StorageLocationID  string                  `json:"storage_location_id,omitempty"`
	ScheduleCron       string                  `json:"schedule_cron,omitempty"`
	ScheduleTimezone   string                  `json:"schedule_timezone,omitempty"`
	OverlapPolicy      domain.OverlapPolicy    `json:"overlap_policy,omitempty"`
	OverwriteDirection domain.SyncDirection    `json:"overwrite_direction,omitempty"`
	DropExisting       bool                    `json:"drop_existing,omitempty"`
	RunOnManual        *bool                   `json:"run_on_manual,omitempty"`
	Enabled            *bool                   `json:"enabled,omitempty"`
	RetentionPolicy    *domain.RetentionPolicy `json:"retention_policy,omitempty"`
	BackupOptions      domain.BackupOptions    `json:"backup_options"`
	SyncOptions        domain.SyncOptions      `json:"sync_options"`
	ConfirmationPhrase string                  `json:"confirmation_phrase,omitempty"`
}

// SyncJob is a sync job as the API shows it.
type SyncJob struct {
	ID                 string                 `json:"id"`
	Name               string                 `json:"name"`
	SourceDatasourceID string                 `json:"source_datasource_id"`
	TargetDatasourceID string                 `json:"target_datasource_id"`
	StorageLocationID  *string                `json:"storage_location_id"`
	ScheduleCron       string                 `json:"schedule_cron"`
	ScheduleTimezone   string                 `json:"schedule_timezone"`
	OverlapPolicy      domain.OverlapPolicy   `json:"overlap_policy"`
	OverwriteDirection domain.SyncDirection   `json:"overwrite_direction"`
	DropExisting       bool                   `json:"drop_existing"`
	RunOnManual        bool                   `json:"run_on_manual"`
	Enabled            bool                   `json:"enabled"`
	RetentionPolicy    domain.RetentionPolicy `json:"retention_policy"`
	BackupOptions      domain.BackupOptions   `json:"backup_options"`
	SyncOptions        domain.SyncOptions     `json:"sync_options"`
	LastExecutionAt    *time.Time             `json:"last_execution_at"`
	NextExecutionAt    *time.Time             `json:"next_execution_at"`
	SchedulePause      string                 `json:"schedule_pause,omitempty"`
	Version            int64                  `json:"version"`
}

// DrillJobDocument is what is written of a restore drill job.
type DrillJobDocument struct {
	Name               string               `json:"name"`
	DatasourceID       string               `json:"datasource_id"`
	BackupJobID        string               `json:"backup_job_id,omitempty"`
	TargetDatasourceID string               `json:"target_datasource_id,omitempty"`
	ScheduleCron       string               `json:"schedule_cron,omitempty"`
	ScheduleTimezone   string               `json:"schedule_timezone,omitempty"`
	OverlapPolicy      domain.OverlapPolicy `json:"overlap_policy,omitempty"`
	MaxBackupAgeHours  int                  `json:"max_backup_age_hours,omitempty"`
	Enabled            *bool                `json:"enabled,omitempty"`
	DrillOptions       domain.DrillOptions  `json:"drill_options"`
}

// DrillJob is a restore drill job as the API shows it.
type DrillJob struct {
	ID                 string               `json:"id"`
	Name               string               `json:"name"`
	DatasourceID       string               `json:"datasource_id"`
	BackupJobID        *string              `json:"backup_job_id"`
	TargetDatasourceID string               `json:"target_datasource_id"`
	ScheduleCron       string               `json:"schedule_cron"`
	ScheduleTimezone   string               `json:"schedule_timezone"`
	OverlapPolicy      domain.OverlapPolicy `json:"overlap_policy"`
	MaxBackupAgeHours  int                  `json:"max_backup_age_hours"`
	Enabled            bool                 `json:"enabled"`
	DrillOptions       domain.DrillOptions  `json:"drill_options"`
	LastExecutionAt    *time.Time           `json:"last_execution_at"`
	NextExecutionAt    *time.Time           `json:"next_execution_at"`
	SchedulePause      string               `json:"schedule_pause,omitempty"`
	Version            int64                `json:"version"`
}

// DrillTime is the recovery time of one good drill.
type DrillTime struct {
	ExecutionID     string    `json:"execution_id"`
	At              time.Time `json:"at"`
	RecoverySeconds float64   `json:"recovery_seconds"`
	BackupBytes     int64     `json:"backup_bytes"`
}

// JobRun is one run of a sync job or a drill job.
type JobRun struct {
	ID                 string                 `json:"id"`
	JobID              *string                `json:"job_id"`
	BackupExecutionID  *string                `json:"backup_execution_id"`
	RestoreExecutionID *string                `json:"restore_execution_id"`
	Status             domain.ExecutionStatus `json:"status"`
	StartedAt          *time.Time             `json:"started_at"`
	FinishedAt         *time.Time             `json:"finished_at"`
	ErrorMessage       string                 `json:"error_message"`
	Metadata           domain.RunMetadata     `json:"metadata"`
	CreatedAt          time.Time              `json:"created_at"`
}

// Runs are the calls for the runs of one kind of job.
type Runs struct {
	client     *Client
	jobs, path string
}

// SyncRuns are the runs of sync jobs.
func (c *Client) SyncRuns() Runs { return Runs{c, "/api/db-sync-jobs", "/api/db-sync-executions"} }

// DrillRuns are the runs of restore drill jobs.
func (c *Client) DrillRuns() Runs {
	return Runs{c, "/api/restore-drill-jobs", "/api/restore-drill-executions"}
}

// Start runs a job now.
func (r Runs) Start(ctx context.Context, jobID string) (JobRun, error) {
	return r.post(ctx, r.jobs+"/"+url.PathEscape(jobID)+"/run")
}

// Cancel asks a run to stop.
func (r Runs) Cancel(ctx context.Context, id string) (JobRun, error) {
	return r.post(ctx, r.at(id)+"/cancel")
}

// Retry tries a failed sync again; a backup that is good is not made again.
func (r Runs) Retry(ctx context.Context, id string) (JobRun, error) {
	return r.post(ctx, r.at(id)+"/retry")
}

// Get reads a run with its log.
func (r Runs) Get(ctx context.Context, id string) (JobRun, error) {
	var out JobRun
	err := r.client.call(ctx, http.MethodGet, r.at(id), nil, nil, &out)
	return out, err
}

// List reads all runs of a job, newest first, without logs; "" is every job.
func (r Runs) List(ctx context.Context, jobID string) ([]JobRun, error) {
	query := url.Values{}
	if jobID != "" {
		query.Set("job_id", jobID)
	}
	return collect[JobRun](ctx, r.client, r.path, query)
}

// Wait waits until a run has ended, however it ended, and returns it with its log.
func (r Runs) Wait(ctx context.Context, id string) (JobRun, error) {
	for {
		// How the stream ended does not matter: the run itself says whether to go on.
		_ = r.follow(ctx, id)
		run, err := r.Get(ctx, id)
		if err != nil || run.Status.Finished() {
			return run, err
		}
		select {
		case <-ctx.Done():
			return run, fmt.Errorf("wait for run %s: %w", id, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func (r Runs) follow(ctx context.Context, id string) error {
	answer, err := r.client.send(ctx, http.MethodGet, r.at(id)+"/events", nil, nil, http.Header{"Accept": {"text/event-stream"}})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	return readEvents(answer.Body, func(name string, data []byte) (more bool, err error) {
		var run JobRun
		if err := json.Unmarshal(data, &run); err != nil {
			return false, fmt.Errorf("read event %s: %w", name, err)
		}
		return name != "end", nil
	})
}

func (r Runs) post(ctx context.Context, path string) (JobRun, error) {
	var out JobRun
	err := r.client.call(ctx, http.MethodPost, path, nil, nil, &out)
	return out, err
}

func (r Runs) at(id string) string { return r.path + "/" + url.PathEscape(id) }

// SyncJobs are the sync jobs.
func (c *Client) SyncJobs() Resource[SyncJobDocument, SyncJob] {
	return Resource[SyncJobDocument, SyncJob]{c, "/api/db-sync-jobs"}
}

// DrillJobs are the restore drill jobs.
func (c *Client) DrillJobs() Resource[DrillJobDocument, DrillJob] {
	return Resource[DrillJobDocument, DrillJob]{c, "/api/restore-drill-jobs"}
}

// DrillTimes reads how long the restores of a drill job's last good runs took, newest first.
func (c *Client) DrillTimes(ctx context.Context, jobID string) ([]DrillTime, error) {
	var out struct {
		Items []DrillTime `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, c.DrillJobs().at(jobID)+"/recovery-times", nil, nil, &out)
	return out.Items, err
}
