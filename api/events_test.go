package api

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestTheEventStreamTellsEveryStepAndEnds(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, _, _ := f.job("orders")
	id := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+"/api/executions/"+id+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))

	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	next := func() (name, data string) {
		for lines.Scan() {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "event":
				name = value
			case "data":
				return name, value
			}
		}
		return "", ""
	}
	name, data := next()
	require.Equal(t, "snapshot", name)
	require.Contains(t, data, `"status":"queued"`)
	_, err = f.db.BeginExecution(ctx, id, "backup-"+id, "run-1")
	require.NoError(t, err)
	name, data = next()
	require.Equal(t, "update", name)
	require.Contains(t, data, `"status":"running"`)
	require.NoError(t, f.db.UpdateProgress(ctx, id, domain.Progress{Phase: domain.PhaseDumping, Bytes: 42}))
	_, data = next()
	require.Contains(t, data, `"bytes":42`)
	require.NoError(t, f.db.FinishExecution(ctx, id, db.Finish{Status: domain.Completed}))
	for name != "end" {
		name, data = next()
		require.NotEmpty(t, name, "the stream ended before its end event")
	}
	require.Contains(t, data, `"status":"completed"`)
	name, _ = next()
	require.Empty(t, name, "nothing follows the end")
	require.Eventually(t, func() bool {
		f.server.events.mu.Lock()
		defer f.server.events.mu.Unlock()
		return len(f.server.events.watchers) == 0 && f.server.events.stop == nil
	}, 2*time.Minute, 10*time.Millisecond, "nobody watches, so nothing listens")
}

// TestAStreamIsResumed: each event is the whole state, so that whoever comes back has missed nothing, and is told the end once.
func TestAStreamIsResumed(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, _, _ := f.job("orders")
	id := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	// from reads the events of a connection until one that contains the text, and gives the id of that one.
	from := func(last, until string) (read []string, seen string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+"/api/executions/"+id+"/events", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+f.token)
		if last != "" {
			request.Header.Set("Last-Event-ID", last)
		}
		answer, err := f.http.Client().Do(request)
		require.NoError(t, err)
		defer func() { require.NoError(t, answer.Body.Close()) }()
		require.Equal(t, http.StatusOK, answer.StatusCode)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "id":
				seen = value
			case "event", "data":
				if read = append(read, value); strings.Contains(value, until) {
					return read, seen
				}
			}
		}
		require.Fail(t, "the stream ended", "without %s: %v", until, read)
		return nil, ""
	}
	_, last := from("", `"status":"queued"`)
	_, err := f.db.BeginExecution(t.Context(), id, "backup-"+id, "run-1")
	require.NoError(t, err)
	require.NoError(t, f.db.UpdateProgress(t.Context(), id, domain.Progress{Phase: domain.PhaseDumping, Bytes: 42}))
	read, last := from(last, `"bytes":42`)
	require.Equal(t, "snapshot", read[0], "the state as it is now comes first")
	require.NotContains(t, strings.Join(read, ""), "queued")
	require.NoError(t, f.db.FinishExecution(t.Context(), id, db.Finish{Status: domain.Completed}))
	read, last = from(last, "end")
	require.Contains(t, read[1], `"status":"completed"`)
	require.Equal(t, "end", last)
	gone := f.call("GET", "/api/executions/"+id+"/events", nil, "Last-Event-ID", last).ok(http.StatusNoContent)
	require.Empty(t, gone.text)
}

func TestTheClientFollowsARun(t *testing.T) {
	f := signedIn(t)
	f.starts()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := client.New(f.http.URL)
	_, err := c.Login(ctx, ownerEmail, ownerPassword)
	require.NoError(t, err)
	source, err := c.Datasources.Create(ctx, client.DatasourceDocument{Name: "orders", Type: domain.Postgres, ConnectionConfig: domain.ConnectionConfig{
		Host: "127.0.0.1", Database: "orders", Username: "backup", Password: dbPassword,
	}})
	require.NoError(t, err)
	storage, err := c.StorageLocations.Create(ctx, client.StorageLocationDocument{Name: "disk", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: "/srv/backups"}})
	require.NoError(t, err)
	job, err := c.BackupJobs.Create(ctx, client.BackupJobDocument{Name: "nightly", DatasourceID: source.ID, StorageLocationID: storage.ID})
	require.NoError(t, err)
	job, err = c.BackupJobs.Update(ctx, job.ID, map[string]any{"name": "daily"})
	require.NoError(t, err)
	require.Equal(t, "daily", job.Name)
	execution, err := c.RunJob(ctx, job.ID, &domain.BackupOptions{Verify: domain.VerifyFull})
	require.NoError(t, err)
	_, err = c.RunJob(ctx, job.ID, nil)
	require.Equal(t, http.StatusConflict, client.Status(err))

	var seen []domain.ExecutionStatus
	final, err := c.WaitExecution(ctx, execution.ID, func(e client.Execution) {
		seen = append(seen, e.Status)
		switch e.Status {
		case domain.Queued:
			_, err := f.db.BeginExecution(ctx, e.ID, "backup-"+e.ID, "run-1")
			require.NoError(t, err)
		case domain.Running:
			require.NoError(t, f.db.AppendLogs(ctx, e.ID, domain.LogLine{Time: time.Now(), Level: "info", Message: "hello"}))
			require.NoError(t, f.db.FinishExecution(ctx, e.ID, db.Finish{Status: domain.Completed}))
		}
	})
	require.NoError(t, err)
	require.Equal(t, domain.Completed, final.Status)
	require.Equal(t, domain.VerifyFull, final.Metadata.Options.Verify)
	require.Subset(t, seen, []domain.ExecutionStatus{domain.Queued, domain.Running, domain.Completed})
	logs, err := c.Logs(ctx, execution.ID)
	require.NoError(t, err)
	require.Equal(t, "hello", logs[len(logs)-1].Message)
	listed, err := c.ListExecutions(ctx, client.ExecutionFilter{Job: job.ID, Status: domain.Completed, Operation: domain.OperationBackup, From: execution.CreatedAt})
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.Empty(t, listed[0].Metadata.ExecutionLogs)
	chunks, err := c.Chunks(ctx, execution.ID)
	require.NoError(t, err)
	require.Empty(t, chunks)
	require.NoError(t, c.Logout(ctx))
	_, err = c.Me(ctx)
	require.Equal(t, http.StatusUnauthorized, client.Status(err))
}
