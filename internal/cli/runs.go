package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// runInterval is how often a run of a sync or a drill is looked at.
const runInterval = time.Second

const (
	syncRuns  = "/api/db-sync-executions"
	drillRuns = "/api/restore-drill-executions"
)

// runResources are the jobs that restore on a schedule, and their runs.
func runResources() []resource {
	const syncs, drills = "/api/db-sync-jobs", "/api/restore-drill-jobs"
	schedule := []field{{flag: "cron", path: "schedule_cron", usage: "when, five fields"}, {flag: "timezone", path: "schedule_timezone", usage: "of the schedule, an IANA name"}, enabledField}
	return []resource{
		{
			name: "sync", title: "sync job", aliases: []string{"syncs"}, path: syncs, naming: "name", verbs: usual,
			filters: []field{{flag: "datasource", path: "datasource_id", usage: "on either side", of: "datasource"}, {flag: "storage", path: "storage_location_id", usage: "with this storage location", of: "storage"}},
			fields: append([]field{
				nameField, {flag: "source", path: "source_datasource_id", usage: "a datasource, by name or id", of: "datasource"}, {flag: "target", path: "target_datasource_id", usage: "a datasource, by name or id", of: "datasource"},
				{flag: "storage", path: "storage_location_id", usage: "where the backup in between is kept", of: "storage"}, {flag: "drop-existing", path: "drop_existing", usage: "replace what is there", kind: boolField},
				{flag: "direction", path: "overwrite_direction", usage: "which side is overwritten", values: []string{"source_to_target", "target_to_source"}}, {flag: "confirm", path: "confirmation_phrase", usage: "RESTORE and the name of the datasource that is overwritten"},
			}, schedule...),
			columns: []column{
				{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "SOURCE", path: "source_datasource_id", of: "datasource"}, {header: "TARGET", path: "target_datasource_id", of: "datasource"},
				{header: "DIRECTION", path: "overwrite_direction"}, {header: "SCHEDULE", path: "schedule_cron"}, {header: "ENABLED", path: "enabled"}, {header: "NEXT", path: "next_execution_at"},
			},
			actions: []action{{name: "run", short: "Sync now", method: http.MethodPost, path: syncs + "/{id}/run", wait: true, runs: syncRuns}},
		},
		runsResource("sync-run", "sync run", syncRuns, "sync", action{name: "retry", short: "Try a failed one again", method: http.MethodPost, path: syncRuns + "/{id}/retry", wait: true, runs: syncRuns}),
		{
			name: "drill", title: "drill job", aliases: []string{"drills"}, path: drills, naming: "name", verbs: usual,
			filters: []field{{flag: "datasource", path: "datasource_id", usage: "whose backups are proved, or where", of: "datasource"}, {flag: "job", path: "backup_job_id", usage: "of this job", of: "job"}},
			fields: append([]field{
				nameField, {flag: "datasource", path: "datasource_id", usage: "whose latest backup is proved, by name or id", of: "datasource"}, {flag: "job", path: "backup_job_id", usage: "only backups of this job", of: "job"},
				{flag: "target", path: "target_datasource_id", usage: "where the temporary database is made", of: "datasource"}, {flag: "max-age-hours", path: "max_backup_age_hours", usage: "an older backup fails the drill", kind: intField},
			}, schedule...),
			columns: []column{
				{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "DATASOURCE", path: "datasource_id", of: "datasource"}, {header: "ON", path: "target_datasource_id", of: "datasource"},
				{header: "SCHEDULE", path: "schedule_cron"}, {header: "ENABLED", path: "enabled"}, {header: "NEXT", path: "next_execution_at"},
			},
			actions: []action{
				{name: "run", short: "Prove the latest backup now", method: http.MethodPost, path: drills + "/{id}/run", wait: true, runs: drillRuns},
				{name: "recovery-times", short: "List how long recovery took", path: drills + "/{id}/recovery-times", unpaged: true,
					columns: []column{{header: "TIME", path: "at"}, {header: "SECONDS", path: "recovery_seconds"}, {header: "BYTES", path: "backup_bytes", show: sized}}},
			},
		},
		runsResource("drill-run", "drill run", drillRuns, "drill"),
	}
}

func runsResource(name, title, path, job string, more ...action) resource {
	return resource{
		name: name, title: title, aliases: []string{name + "s"}, path: path, verbs: []string{list, get},
		filters: []field{
			{flag: "job", path: "job_id", usage: "of this job", of: job}, {flag: "status", path: "status", values: []string{"queued", "running", "completed", "failed", "cancelled"}},
			{flag: "from", path: "from", usage: "begun then or later, RFC 3339"}, {flag: "to", path: "to", usage: "begun before then, RFC 3339"},
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "JOB", path: "job_id", of: job}, {header: "STATUS", path: "status"}, {header: "STARTED", path: "started_at"}, {header: "FINISHED", path: "finished_at"}, {header: "ERROR", path: "error_message"},
		},
		actions: append([]action{
			{name: "logs", short: "Show its log", path: path + "/{id}/logs", unpaged: true, columns: []column{{header: "TIME", path: "time"}, {header: "LEVEL", path: "level"}, {header: "MESSAGE", path: "message"}}},
			{name: "cancel", short: "Stop it", method: http.MethodPost, path: path + "/{id}/cancel", wait: true, runs: path},
			{name: "watch", short: "Follow it to its end, and fail when it fails", method: http.MethodGet, path: path + "/{id}", follows: true, runs: path},
		}, more...),
	}
}

// runState is what a run says of itself while it is followed.
type runState struct {
	ID                 string                 `json:"id"`
	Status             domain.ExecutionStatus `json:"status"`
	ErrorMessage       string                 `json:"error_message"`
	Metadata           domain.RunMetadata     `json:"metadata"`
	BackupExecutionID  string                 `json:"backup_execution_id"`
	RestoreExecutionID string                 `json:"restore_execution_id"`
}

// followRun looks at a run until it has ended, shows how far it is, and prints it. It fails when the run did not complete.
func (s *session) followRun(ctx context.Context, path string, answer json.RawMessage) error {
	shown := s.showRun(map[string]string{syncRuns: "sync", drillRuns: "drill"}[path])
	defer shown.end()
	for {
		var run runState
		if err := json.Unmarshal(answer, &run); err != nil {
			return failed("the answer is not a run: %v", err)
		}
		if run.Status.Finished() {
			shown.end()
			if err := s.printer.one(answer); err != nil {
				return err
			}
			if run.Status != domain.Completed {
				return notCompleted("run", run.Status, run.ErrorMessage, run.Metadata.Hint)
			}
			return nil
		}
		shown.show(ctx, run)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(runInterval):
		}
		var err error
		if answer, err = s.Do(ctx, client.Call{Method: http.MethodGet, Path: path + "/" + url.PathEscape(run.ID)}); err != nil {
			return err
		}
	}
}
