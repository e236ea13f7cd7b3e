package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// RunKind is what a run is one of. The tables of both kinds have the columns of Run, so that one set of
// statements serves them; sqlc can not name a table by a parameter.
type RunKind string

// The kinds.
const (
	RunSync  RunKind = "sync"
	RunDrill RunKind = "drill"
)

// runSQL fits a statement to the table of a kind.
func (k RunKind) runSQL(statement string) string {
	names := []string{
		"{runs}", "database_sync_executions", "{job}", "sync_job_id", "{jobs}", "database_sync_jobs", "{in_scope}", "sync_run_in_scope", "{of}", "metadata",
	}
	if k == RunDrill {
		names = []string{
			"{runs}", "restore_drill_executions", "{job}", "drill_job_id", "{jobs}", "restore_drill_jobs", "{in_scope}", "drill_run_in_scope", "{of}", "backup_execution_id",
		}
	}
	return strings.NewReplacer(names...).Replace(statement)
}

// Run is one run of a sync job or a drill job. The backup and the restore it is made of are executions of
// their own.
type Run struct {
	ID                 string
	JobID              *string // nil once the job is gone
	BackupExecutionID  *string // drills: the backup that is proved
	RestoreExecutionID *string
	Status             domain.ExecutionStatus
	StartedAt          *time.Time
	FinishedAt         *time.Time
	ErrorMessage       string
	Metadata           domain.RunMetadata
	CreatedAt          time.Time
}

// RunFilter narrows a list of runs; the zero value of a field does not.
type RunFilter struct {
	JobID  string
	Status domain.ExecutionStatus
	From   time.Time // created at or after
	To     time.Time // created before
}

const runColumns = `id, {job}, backup_execution_id, restore_execution_id, status, started_at, finished_at, error_message, metadata, created_at`

// listedRunColumns are runColumns without the log.
const listedRunColumns = `id, {job}, backup_execution_id, restore_execution_id, status, started_at, finished_at, error_message,
	(metadata - 'execution_logs')::jsonb, created_at`

const listRuns = `SELECT ` + listedRunColumns + ` FROM {runs}
	WHERE ($1::uuid IS NULL OR {job} = $1) AND ($2::execution_status IS NULL OR status = $2)
	  AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
	  AND ($5::timestamptz IS NULL OR (created_at, id) < ($5, $6::uuid))
	ORDER BY created_at DESC, id DESC LIMIT $7`

func scanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	err := row.Scan(&r.ID, &r.JobID, &r.BackupExecutionID, &r.RestoreExecutionID, &r.Status, &r.StartedAt, &r.FinishedAt, &r.ErrorMessage, &r.Metadata, &r.CreatedAt)
	return r, err
}

// CreateRun stores a run in state queued; an empty ID is made up. Errors: ErrActiveExecution when the job
// has a queued or running one.
func (q *Queries) CreateRun(ctx context.Context, kind RunKind, r Run) (Run, error) {
	op := "create a " + string(kind) + " run"
	id, err := idOr(r.ID)
	if err != nil {
		return Run{}, err
	}
	statement := `INSERT INTO {runs} (id, {job}, backup_execution_id, metadata) VALUES ($1, $2, $3, $4)`
	args := []any{id, r.JobID, r.BackupExecutionID, r.Metadata}
	if kind == RunSync {
		statement = `INSERT INTO {runs} (id, {job}, backup_execution_id, metadata, overwrite_direction)
			SELECT $1, $2, $3, $4, overwrite_direction FROM {jobs} WHERE id = $2`
	}
	if _, err := q.conn.Exec(ctx, kind.runSQL(statement), args...); err != nil {
		return Run{}, translate(op, err)
	}
	return q.GetRun(Unscoped(ctx), kind, id) // its maker's own
}

// GetRun reads one, its log included. Errors: ErrNotFound.
func (q *Queries) GetRun(ctx context.Context, kind RunKind, id string) (Run, error) {
	op := "read " + string(kind) + " run " + id
	if err := checkID(op, id); err != nil {
		return Run{}, err
	}
	scope, err := scopeFor(ctx, domain.ScopeKinds()...)
	if err != nil {
		return Run{}, err
	}
	return q.oneRun(ctx, op, kind, `SELECT `+runColumns+` FROM {runs} WHERE id = $1 AND ($2::jsonb IS NULL OR {in_scope}($2, {of}, {job}))`, id, scope)
}

// ActiveRun reads the queued or running run of a job. Errors: ErrNotFound.
func (q *Queries) ActiveRun(ctx context.Context, kind RunKind, jobID string) (Run, error) {
	op := "look for the active run of " + string(kind) + " job " + jobID
	return q.oneRun(ctx, op, kind, `SELECT `+runColumns+` FROM {runs} WHERE {job} = $1 AND status IN ('queued', 'running')`, jobID)
}

func (q *Queries) oneRun(ctx context.Context, op string, kind RunKind, statement string, args ...any) (Run, error) {
	rows, err := q.conn.Query(ctx, kind.runSQL(statement), args...)
	if err != nil {
		return Run{}, translate(op, err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRun)
	return r, translate(op, err)
}

// ListRuns reads one page and the cursor of the next, "" on the last one. The rows come without their logs.
func (q *Queries) ListRuns(ctx context.Context, kind RunKind, filter RunFilter, page Page) ([]Run, string, error) {
	op := "list " + string(kind) + " runs"
	from, err := page.position()
	if err != nil || (filter.JobID != "" && !isID(filter.JobID)) {
		return []Run{}, "", err
	}
	statement, args := listRuns, arguments{
		unlessZero(filter.JobID), unlessZero(filter.Status), unlessZero(filter.From), unlessZero(filter.To), from.createdAt, from.id, page.fetch(),
	}
	if Scoped(ctx) {
		if statement, args, err = limitedRuns(ctx, kind, filter, from, page.fetch()); err != nil {
			return nil, "", err
		}
	}
	rows, err := q.conn.Query(ctx, kind.runSQL(statement), args...)
	if err != nil {
		return nil, "", translate(op, err)
	}
	found, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, "", translate(op, err)
	}
	found, next := pageOf(found, page, func(r Run) (time.Time, string) { return r.CreatedAt, r.ID })
	return found, next, nil
}

// BeginRun moves a queued run to running under this workflow run, and notes it at its job. Again for a
// running one, it only writes the run id. Errors: ErrNotFound, ErrExecutionFinished.
func (q *Queries) BeginRun(ctx context.Context, kind RunKind, id, workflowID, runID, url string) (Run, error) {
	op := "begin " + string(kind) + " run " + id
	var begun Run
	err := q.inTx(ctx, func(q *Queries) error {
		tag, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {runs} SET status = 'running', started_at = COALESCE(started_at, now()),
			metadata = metadata || jsonb_build_object('workflow_id', $2::text, 'run_id', $3::text, 'temporal_url', $4::text)
			WHERE id = $1 AND status IN ('queued', 'running')`), id, workflowID, runID, url)
		if err != nil {
			return translate(op, err)
		}
		if begun, err = q.GetRun(ctx, kind, id); err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("%s: %w: it is %s", op, ErrExecutionFinished, begun.Status)
		}
		_, err = q.conn.Exec(ctx, kind.runSQL(`UPDATE {jobs} SET last_execution_at = $2
			WHERE id = $1 AND (last_execution_at IS NULL OR last_execution_at < $2)`), begun.JobID, begun.StartedAt)
		return translate(op, err)
	})
	return begun, err
}

// LastScheduledRun is when the newest run that the schedule of a job started was made; zero if there is none.
func (q *Queries) LastScheduledRun(ctx context.Context, kind RunKind, jobID string) (at time.Time, err error) {
	err = q.conn.QueryRow(ctx, kind.runSQL(`SELECT created_at FROM {runs} WHERE {job} = $1 AND metadata ->> 'trigger' = 'schedule' AND created_at <= now()
		ORDER BY created_at DESC, id DESC LIMIT 1`), jobID).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return at, translate("read the last scheduled run of "+string(kind)+" job "+jobID, err)
}

// SetRunJobNext is SetJobNextExecution for a sync job or a drill job.
func (q *Queries) SetRunJobNext(ctx context.Context, kind RunKind, jobID string, version int64, next *time.Time, pause string) error {
	_, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {jobs} SET next_execution_at = $2, schedule_pause = $3
		WHERE id = $1 AND version = $4 AND (next_execution_at IS DISTINCT FROM $2 OR schedule_pause <> $3)`), jobID, next, cleanText(pause), version)
	return translate("note the next run of "+string(kind)+" job "+jobID, err)
}

// SetRunJobLastDue is SetJobLastDue for a sync job or a drill job.
func (q *Queries) SetRunJobLastDue(ctx context.Context, kind RunKind, jobID string, dueAt time.Time) error {
	_, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {jobs} SET last_due_at = $2
		WHERE id = $1 AND (last_due_at IS NULL OR last_due_at < $2 OR last_due_at > now())`), jobID, dueAt)
	return translate("note the last run of "+string(kind)+" job "+jobID, err)
}

// AwaitRunJob is AwaitBackupJob for a sync job or a drill job.
func (q *Queries) AwaitRunJob(ctx context.Context, kind RunKind, jobID string) error {
	op := "await the changes of " + string(kind) + " job " + jobID
	if err := checkID(op, jobID); err != nil {
		return err
	}
	_, err := q.conn.Exec(ctx, kind.runSQL(`SELECT id FROM {jobs} WHERE id = $1 FOR SHARE`), jobID)
	return translate(op, err)
}

// LinkRun records the executions that a run is made of; nil leaves what is there.
func (q *Queries) LinkRun(ctx context.Context, kind RunKind, id string, backup, restore *string) error {
	tag, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {runs} SET backup_execution_id = COALESCE($2, backup_execution_id),
		restore_execution_id = COALESCE($3, restore_execution_id) WHERE id = $1 AND status IN ('queued', 'running')`), id, backup, restore)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrExecutionFinished
	}
	return translate("link the executions of "+string(kind)+" run "+id, err)
}

// LockRun locks a run until the transaction ends and reads it. Errors: ErrExecutionFinished, ErrNotFound.
func (q *Queries) LockRun(ctx context.Context, kind RunKind, id string) (Run, error) {
	op := "lock " + string(kind) + " run " + id
	r, err := q.oneRun(ctx, op, kind, `SELECT `+runColumns+` FROM {runs} WHERE id = $1 FOR UPDATE`, id)
	if err == nil && r.Status.Finished() {
		err = fmt.Errorf("%s: %w: it is %s", op, ErrExecutionFinished, r.Status)
	}
	return r, err
}

// SetRunPart replaces one key of a run's metadata.
func (q *Queries) SetRunPart(ctx context.Context, kind RunKind, id, key string, value any) error {
	op := "record the " + key + " of " + string(kind) + " run " + id
	part, err := json.Marshal(map[string]any{key: value})
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	tag, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {runs} SET metadata = metadata || $2::jsonb WHERE id = $1`), id, part)
	return oneRow(op, tag.RowsAffected(), err)
}

// LogRun adds lines to the log of a run, as AppendLogs.
func (q *Queries) LogRun(ctx context.Context, kind RunKind, id string, line domain.LogLine) error {
	op := "append to the log of " + string(kind) + " run " + id
	line.Message = cleanText(line.Message)
	document, err := json.Marshal([]domain.LogLine{line})
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	tag, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {runs} SET metadata = jsonb_set(metadata, '{execution_logs}', (
		SELECT COALESCE(jsonb_agg(line ORDER BY position), '[]') FROM (
			SELECT line, position
			FROM jsonb_array_elements(COALESCE(metadata -> 'execution_logs', '[]') || $2::jsonb) WITH ORDINALITY AS logs (line, position)
			ORDER BY position DESC LIMIT $3) newest)) WHERE id = $1`), id, document, domain.MaxLogLines)
	return oneRow(op, tag.RowsAffected(), err)
}

// FinishRun ends a run that has not ended, from any state or only one, and reports whether it did; the
// first end stays. recovery is that of a drill, 0 for none. Errors: ErrNotFound.
func (q *Queries) FinishRun(ctx context.Context, kind RunKind, id string, f Finish, recovery time.Duration, from domain.ExecutionStatus) (closed bool, err error) {
	op := "finish " + string(kind) + " run " + id
	if !f.Status.Finished() {
		return false, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("status %q is not an end", f.Status), "")
	}
	outcome, err := json.Marshal(map[string]string{"failure_class": f.FailureClass, "hint": cleanText(f.Hint)})
	if err != nil {
		return false, failure.Wrap(failure.Unknown, op, err, "")
	}
	set, args := "", []any{id, f.Status, cleanText(f.ErrorMessage), outcome, unlessZero(from)}
	if kind == RunDrill {
		set, args = ", recovery_ms = $6", append(args, unlessZero(recovery.Milliseconds()))
	}
	tag, err := q.conn.Exec(ctx, kind.runSQL(`UPDATE {runs} SET status = $2, finished_at = now(), started_at = COALESCE(started_at, now()),
		error_message = $3, metadata = metadata || $4::jsonb`+set+`
		WHERE id = $1 AND status IN ('queued', 'running') AND ($5::execution_status IS NULL OR status = $5)`), args...)
	if err != nil {
		return false, translate(op, err)
	}
	if tag.RowsAffected() == 0 {
		if _, err := q.GetRun(ctx, kind, id); err != nil {
			return false, err
		}
	}
	return tag.RowsAffected() > 0, nil
}
