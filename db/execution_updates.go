package db

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Metadata is changed by merging in SQL, never by reading, changing and writing back: activities,
// the API and a late attempt may write at the same moment, and none may undo another's part.

// BeginExecution moves a queued execution to running under this workflow run, and notes it at its
// job. Again for a running one, it only writes the run id. Errors: ErrNotFound,
// ErrExecutionFinished.
func (q *Queries) BeginExecution(ctx context.Context, id, workflowID, runID string) (Execution, error) {
	op := "begin execution " + id
	if err := checkID(op, id); err != nil {
		return Execution{}, err
	}
	var begun Execution
	err := q.inTx(ctx, func(q *Queries) error {
		n, err := q.q.BeginExecution(ctx, dbgen.BeginExecutionParams{ID: id, WorkflowID: workflowID, RunID: runID})
		if err != nil {
			return translate(op, err)
		}
		if begun, err = q.GetExecution(ctx, id); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%s: %w: it is %s", op, ErrExecutionFinished, begun.Status)
		}
		if begun.JobID == nil || begun.Metadata.Operation != domain.OperationBackup {
			return nil
		}
		return translate(op, q.q.SetJobLastExecution(ctx, dbgen.SetJobLastExecutionParams{ID: *begun.JobID, StartedAt: begun.StartedAt}))
	})
	return begun, err
}

// UpdateProgress replaces the progress of an execution that has not finished; for any other it
// does nothing.
func (q *Queries) UpdateProgress(ctx context.Context, id string, p domain.Progress) error {
	op := "update the progress of execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return translate(op, q.q.UpdateProgress(ctx, dbgen.UpdateProgressParams{ID: id, Progress: &p}))
}

// AppendLogs adds lines to the log and keeps the newest domain.MaxLogLines. What looks like a
// credential is masked. Errors: ErrNotFound.
func (q *Queries) AppendLogs(ctx context.Context, id string, lines ...domain.LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	op := "append to the log of execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	clean := make([]domain.LogLine, len(lines))
	for i, line := range lines {
		line.Message = cleanText(line.Message)
		clean[i] = line
	}
	document, err := json.Marshal(clean)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	n, err := q.q.AppendLogs(ctx, dbgen.AppendLogsParams{ID: id, Lines: document, MaxLines: domain.MaxLogLines})
	return oneRow(op, n, err)
}

// DumpResult is what a dump stored.
type DumpResult struct {
	SizeBytes           int64
	CompressedSizeBytes int64
	ManifestPath        string
	ManifestSHA256      string
	Databases           []string // of a backup of a whole server
	ToolVersions        map[string]string
	Warnings            []string
	ReusedChunks        int64 // distinct chunks of earlier backups
	ReusedBytes         int64 // of their objects
}

// SetDumpResult records what an attempt stored, while that attempt holds the dump. Errors as
// ClaimDump.
func (q *Queries) SetDumpResult(ctx context.Context, id string, attempt int32, r DumpResult) error {
	op := "record the dump of execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	result, err := json.Marshal(struct {
		ManifestPath   string            `json:"manifest_path,omitempty"`
		ManifestSHA256 string            `json:"manifest_sha256,omitempty"`
		Databases      []string          `json:"databases,omitempty"`
		ToolVersions   map[string]string `json:"tool_versions,omitempty"`
		Warnings       []string          `json:"warnings,omitempty"`
		ReusedChunks   int64             `json:"reused_chunks,omitempty"`
		ReusedBytes    int64             `json:"reused_bytes,omitempty"`
	}{r.ManifestPath, r.ManifestSHA256, r.Databases, r.ToolVersions, r.Warnings, r.ReusedChunks, r.ReusedBytes})
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	n, err := q.q.SetDumpResult(ctx, dbgen.SetDumpResultParams{
		ID: id, Attempt: attempt, SizeBytes: r.SizeBytes, CompressedSizeBytes: r.CompressedSizeBytes, Result: result,
	})
	if err != nil || n > 0 {
		return translate(op, err)
	}
	return q.checkHolder(ctx, op, id, attempt)
}

// SetRestoreReport records what a restore loaded. Errors: ErrNotFound.
func (q *Queries) SetRestoreReport(ctx context.Context, id string, r domain.RestoreReport) error {
	return q.mergeMetadata(ctx, id, "restore_report", r)
}

// SetManifestPath records where the manifest of a backup will be, before anything is stored, so
// that renaming the datasource meanwhile moves nothing. Errors: ErrNotFound.
func (q *Queries) SetManifestPath(ctx context.Context, id, path string) error {
	return q.mergeMetadata(ctx, id, "manifest_path", path)
}

// SetTemporalURL records where the Temporal UI shows the workflow. Errors: ErrNotFound.
func (q *Queries) SetTemporalURL(ctx context.Context, id, url string) error {
	return q.mergeMetadata(ctx, id, "temporal_url", url)
}

// mergeMetadata replaces one key of the metadata.
func (q *Queries) mergeMetadata(ctx context.Context, id, key string, value any) error {
	op := "record the " + key + " of execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	part, err := json.Marshal(map[string]any{key: value})
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	n, err := q.q.MergeMetadata(ctx, dbgen.MergeMetadataParams{ID: id, Part: part})
	return oneRow(op, n, err)
}

// ClaimDump makes attempt (from 1) the one that may write the dump of this execution. Claiming
// again is fine. Errors: ErrSuperseded when a later attempt holds it, ErrExecutionFinished,
// ErrNotFound.
func (q *Queries) ClaimDump(ctx context.Context, id string, attempt int32) error {
	op := fmt.Sprintf("claim the dump of execution %s for attempt %d", id, attempt)
	if err := checkID(op, id); err != nil {
		return err
	}
	n, err := q.q.ClaimDump(ctx, dbgen.ClaimDumpParams{ID: id, Attempt: attempt})
	if err != nil || n > 0 {
		return translate(op, err)
	}
	return q.checkHolder(ctx, op, id, attempt)
}

// HoldsDump returns nil while attempt is the one that may write. Errors as ClaimDump.
func (q *Queries) HoldsDump(ctx context.Context, id string, attempt int32) error {
	op := fmt.Sprintf("check that attempt %d holds the dump of execution %s", attempt, id)
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.checkHolder(ctx, op, id, attempt)
}

func (q *Queries) checkHolder(ctx context.Context, op, id string, attempt int32) error {
	row, err := q.q.DumpHolder(ctx, id)
	switch {
	case err != nil:
		return translate(op, err)
	case row.Status.Finished():
		return failure.WithSide(fmt.Errorf("%s: %w: it is %s", op, ErrExecutionFinished, row.Status), failure.Catalogue)
	case row.DumpAttempt != attempt:
		return failure.WithSide(fmt.Errorf("%s: %w: attempt %d holds it", op, ErrSuperseded, row.DumpAttempt), failure.Catalogue)
	default:
		return nil
	}
}

// oneRow is ErrNotFound when a statement for one id touched no row.
func oneRow(op string, n int64, err error) error {
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return translate(op, err)
}

// cleanText makes text that Postgres stores (no NUL, valid UTF-8) and masks what looks like a
// credential: the last line of defence, after the activities that know their secrets.
func cleanText(text string) string {
	return failure.Redact(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", ""))
}
