package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/retention"
)

type retentionPreviewInput struct {
	ID   string `path:"id" format:"uuid" doc:"Its id"`
	Body struct {
		RetentionPolicy  *domain.RetentionPolicy `json:"retention_policy,omitempty" doc:"A whole policy to try; left out: the job's own"`
		ScheduleTimezone string                  `json:"schedule_timezone,omitempty" maxLength:"64" doc:"IANA name; left out: the job's own"`
	}
}

// RetentionPreview is what a policy would do to the backups of a job now.
type RetentionPreview struct {
	RetentionPolicy domain.RetentionPolicy `json:"retention_policy"`
	Kept            int                    `json:"kept"`
	Removed         int                    `json:"removed" doc:"Backups that would go; with auto_delete off they are only reported"`
	RemovedBytes    int64                  `json:"removed_bytes" doc:"What those added to the storage. Objects that other backups need stay, so less may be freed"`
	Backups         []RetentionVerdict     `json:"backups" nullable:"false" doc:"Every completed backup of the job, newest first"`
}

// RetentionVerdict is what a policy says of one backup.
type RetentionVerdict struct {
	ExecutionID     string    `json:"execution_id" format:"uuid"`
	At              time.Time `json:"at" doc:"When the backup began"`
	Keep            bool      `json:"keep"`
	Reasons         []string  `json:"reasons" nullable:"false" doc:"Why it stays, or goes"`
	Pinned          bool      `json:"pinned"`
	Good            bool      `json:"good" doc:"false: a check found it damaged"`
	StoredBytes     int64     `json:"stored_bytes"`
	StorageLocation string    `json:"storage_location" doc:"Its name"`
}

func (s *server) registerRetention() {
	register(s, requires(auth.BackupJobsRead), huma.Operation{
		OperationID: "preview-retention", Method: http.MethodPost, Path: "/api/backup-jobs/{id}/retention/preview", Tags: []string{"Backup jobs"},
		Summary:     "Show which backups a retention policy keeps, and why",
		Description: "Changes nothing. Send {} for the job's own policy, or a policy to try.",
		Errors:      []int{http.StatusNotFound},
	}, s.previewRetention)
}

func (s *server) previewRetention(ctx context.Context, in *retentionPreviewInput) (*body[RetentionPreview], error) {
	job, err := s.db.GetBackupJob(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "backup job", in.ID)
	}
	if in.Body.RetentionPolicy != nil {
		job.RetentionPolicy = *in.Body.RetentionPolicy
	}
	if in.Body.ScheduleTimezone != "" {
		job.ScheduleTimezone = in.Body.ScheduleTimezone
	}
	if err := job.RetentionPolicy.Validate().Under("retention_policy").OrNil(); err != nil {
		return nil, err
	}
	verdicts, err := applyRetention(ctx, s.db.Queries, job, nil)
	if err != nil {
		return nil, err
	}
	out := RetentionPreview{RetentionPolicy: job.RetentionPolicy, Backups: make([]RetentionVerdict, len(verdicts))}
	for i, v := range verdicts {
		out.Backups[i] = RetentionVerdict{
			ExecutionID: v.ID, At: v.At, Keep: v.Keep, Reasons: v.Reasons, Pinned: v.Pinned, Good: v.Good, StoredBytes: v.Stored, StorageLocation: v.Storage,
		}
		if v.Keep {
			out.Kept++
		} else {
			out.Removed, out.RemovedBytes = out.Removed+1, out.RemovedBytes+v.Stored
		}
	}
	return &body[RetentionPreview]{out}, nil
}

func applyRetention(ctx context.Context, q *db.Queries, job db.BackupJob, change func(*domain.KeptBackup)) ([]domain.RetentionVerdict, error) {
	zone, err := time.LoadLocation(job.ScheduleTimezone)
	if err != nil || job.ScheduleTimezone == "Local" {
		return nil, invalidField("schedule_timezone", "is %q; give an IANA time zone, for example Europe/Lisbon", job.ScheduleTimezone)
	}
	backups, err := q.RetentionBackups(ctx, job.ID)
	if err != nil {
		return nil, err
	}
	if change != nil {
		for i := range backups {
			change(&backups[i])
		}
	}
	return retention.Apply(job.RetentionPolicy, zone, time.Now(), backups), nil
}

// sameRetention reports whether the retention of two states of a job keeps the same backups.
func sameRetention(before, after db.BackupJob) bool {
	return before.RetentionPolicy == after.RetentionPolicy && before.ScheduleTimezone == after.ScheduleTimezone
}

// unprotected leaves away what protects a backup beside the policy: anybody may end that the next moment.
func unprotected(b *domain.KeptBackup) { b.Pinned, b.Held = false, "" }

// mostNamedBackups bounds how many backups a refused change names.
const mostNamedBackups = 10

// confirmRetention refuses a change of a job that makes its retention delete several backups at once, unless the client
// says that it means that.
func confirmRetention(ctx context.Context, q *db.Queries, before, after db.BackupJob, confirmed bool) error {
	if sameRetention(before, after) || confirmed || !after.RetentionPolicy.AutoDelete {
		return nil
	}
	verdicts, err := applyRetention(ctx, q, after, nil)
	if err != nil {
		return err
	}
	p := problem.New(http.StatusConflict, "")
	removed := 0
	for _, v := range verdicts {
		if !v.Keep {
			removed++
			if len(p.Errors) < mostNamedBackups {
				p.Errors = append(p.Errors, problem.Field{Location: "retention_policy", Message: fmt.Sprintf(
					"would delete backup %s of %s: %s", v.ID, v.At.UTC().Format(time.RFC3339), strings.Join(v.Reasons, ", "))})
			}
		}
	}
	if removed <= 1 {
		return nil
	}
	p.Detail = fmt.Sprintf("With this retention policy %d of the %d backups of the job are deleted after its next backup. "+
		"If that is meant, send \"confirm_retention\": true with the change; POST /api/backup-jobs/%s/retention/preview shows which and why.", removed, len(verdicts), after.ID)
	return p
}

// approveRetention uses up the approval of a change that makes retention delete backups which it kept until now: what a
// policy deletes day by day asks nobody.
func approveRetention(ctx context.Context, q *db.Queries, before, after db.BackupJob, changes map[string]any) error {
	if sameRetention(before, after) || !after.RetentionPolicy.AutoDelete {
		return nil
	}
	goes := make(map[string]bool)
	if before.RetentionPolicy.AutoDelete {
		verdicts, err := applyRetention(ctx, q, before, unprotected)
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			goes[v.ID] = !v.Keep
		}
	}
	verdicts, err := applyRetention(ctx, q, after, unprotected)
	if err != nil {
		return err
	}
	var more []string
	for _, v := range verdicts {
		if !v.Keep && !goes[v.ID] {
			more = append(more, v.ID)
		}
	}
	if len(more) == 0 {
		return nil
	}
	return approved(ctx, q, approvalOf(ctx), irreversible{
		action: domain.ApproveDeleteBackup, permission: auth.BackupJobsWrite, resource: "backup_job", resourceID: after.ID,
		summary: fmt.Sprintf("Let retention of job %q delete %d more of its backups", after.Name, len(more)),
		request: map[string]any{"retention_policy": after.RetentionPolicy, "schedule_timezone": after.ScheduleTimezone, "before": before.RetentionPolicy},
	}, changes)
}

// withRetention adds to the jobs what the last run of their retention did.
func (s *server) withRetention(ctx context.Context, jobs ...*BackupJob) error {
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	results, err := s.db.RetentionResults(ctx, ids)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if result, found := results[j.ID]; found {
			j.LastRetention = &result
		}
	}
	return nil
}
