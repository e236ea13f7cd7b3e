package api

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
)

const keyHeader = "Idempotency-Key"

func TestARepeatedRequestGetsTheFirstAnswer(t *testing.T) {
	f := signedIn(t)
	f.starts()
	key := uuid.NewString()
	first := f.call("POST", "/api/datasources", datasourceBody("a"), keyHeader, key).ok(http.StatusCreated)
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	again := f.call("POST", "/api/datasources", datasourceBody("a"), keyHeader, key).ok(http.StatusCreated)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.JSONEq(t, first.text, again.text)
	for _, name := range []string{"Location", "Etag", "Content-Type"} {
		require.Equal(t, first.header.Get(name), again.header.Get(name), name)
	}
	require.Len(t, f.audits("datasource.create"), 1)

	f.call("POST", "/api/datasources", datasourceBody("b"), keyHeader, key).wrong("header.Idempotency-Key")
	f.call("POST", "/api/storage-locations", storageBody("a"), keyHeader, key).wrong("header.Idempotency-Key")
	f.as(auth.DatasourcesWrite).call("POST", "/api/datasources", datasourceBody("c"), keyHeader, key).ok(http.StatusCreated)
	f.call("POST", "/api/datasources", datasourceBody("d"), keyHeader, strings.Repeat("x", 256)).wrong("header.Idempotency-Key")
	f.call("POST", "/api/datasources", datasourceBody("d"), keyHeader, "two words").wrong("header.Idempotency-Key")

	dbtest.Execute(t, f.url, `UPDATE idempotency_keys SET expires_at = now() WHERE key = $1`, key)
	f.call("POST", "/api/datasources", datasourceBody("e"), keyHeader, key).ok(http.StatusCreated)
}

func TestARefusedRequestGivesItsKeyBack(t *testing.T) {
	f := signedIn(t)
	key := uuid.NewString()
	wrong := datasourceBody("a")
	wrong["type"] = "nonsense"
	f.call("POST", "/api/datasources", wrong, keyHeader, key).problem(http.StatusUnprocessableEntity)
	f.call("POST", "/api/datasources", datasourceBody("a"), keyHeader, key).ok(http.StatusCreated)
}

func TestOfManyRequestsWithOneKeyOneIsMade(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, _, _ := f.job("orders")
	key := uuid.NewString()
	var all sync.WaitGroup
	answers := make([]reply, 10)
	for i := range answers {
		all.Go(func() { answers[i] = f.call("POST", "/api/backup-jobs/"+job+"/run", nil, keyHeader, key) })
	}
	all.Wait()
	var ids []string
	for _, answer := range answers {
		if answer.status != http.StatusAccepted {
			require.Contains(t, answer.problem(http.StatusConflict).Detail, "under way")
			continue
		}
		ids = append(ids, answer.get("id").(string))
	}
	require.NotEmpty(t, ids)
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Len(t, f.audits("backup_job.run"), 1)
	f.finish(ids[0])
	require.Equal(t, ids[0], f.call("POST", "/api/backup-jobs/"+job+"/run", nil, keyHeader, key).ok(202).get("id"), "it is not run again")
}

func TestARequestWhoseAnswerWasLostIsNotMadeAgain(t *testing.T) {
	f := signedIn(t)
	key := uuid.NewString()
	f.call("POST", "/api/datasources", datasourceBody("a"), keyHeader, key).ok(http.StatusCreated)
	dbtest.Execute(t, f.url, `UPDATE idempotency_keys SET answer = NULL, answered_at = NULL, created_at = now() - interval '1 hour'`)
	require.Contains(t, f.call("POST", "/api/datasources", datasourceBody("a"), keyHeader, key).problem(http.StatusConflict).Detail, "not known")
}

func TestDeletingAnOtherVersionIsRefused(t *testing.T) {
	f := signedIn(t)
	job, datasource, storage := f.job("orders")
	for _, path := range []string{"/api/backup-jobs/" + job, "/api/datasources/" + datasource, "/api/storage-locations/" + storage} {
		old := f.call("GET", path, nil).ok(200).header.Get("ETag")
		fresh := f.call("PATCH", path, object{"name": "renamed"}, "If-Match", old).ok(200).header.Get("ETag")
		f.call("PATCH", path, object{"name": "again"}, "If-Match", old).problem(http.StatusPreconditionFailed)
		f.call("DELETE", path, nil, "If-Match", old).problem(http.StatusPreconditionFailed)
		f.call("DELETE", path, nil, "If-Match", "3").wrong("header.If-Match")
		f.call("DELETE", path, nil, "If-Match", fresh).ok(http.StatusNoContent)
		f.call("DELETE", path, nil, "If-Match", fresh).problem(http.StatusNotFound)
	}
}

// Whoever was limited meanwhile does not get an answer that is about what they do not see any more.
func TestAnAnswerIsNotRepeatedToWhoMayNotSeeItAnyMore(t *testing.T) {
	l := newLimited(t, object{"resource": "datasource", "tag": "team-b"})
	rule := l.limit(object{"resource": "datasource", "tag": "team-a"})
	restore := object{"target_datasource_id": l.datasource2, "confirmation_phrase": "RESTORE b", "drop_existing": true}
	inside := datasourceBody("new")
	inside["tags"] = []string{"team-b"}
	calls := []struct {
		path string
		body any
	}{
		{"/api/backup-jobs/" + l.job2 + "/run", nil}, {"/api/backups/" + l.backup2 + "/restore", restore},
		{"/api/backups/" + l.backup + "/restore", restore}, {"/api/datasources", inside},
	}
	for _, call := range calls {
		key := uuid.NewString()
		status := l.ana.call("POST", call.path, call.body, keyHeader, key).status
		require.Less(t, status, 300, call.path)
		require.Equal(t, "true", l.ana.call("POST", call.path, call.body, keyHeader, key).ok(status).header.Get("Idempotency-Replayed"))
		l.limit(object{"effect": "deny", "resource": "datasource", "tag": "team-b"})
		answer := l.ana.call("POST", call.path, call.body, keyHeader, key)
		require.Equal(t, http.StatusNotFound, answer.status, answer.text)
		dbtest.Execute(t, l.url, `DELETE FROM access_scopes WHERE effect = 'deny'`)
		l.ana.call("POST", call.path, call.body, keyHeader, key).ok(status)
		dbtest.Execute(t, l.url, `UPDATE backup_executions SET status = 'failed', finished_at = now() WHERE status IN ('queued', 'running')`)
	}
	key := uuid.NewString()
	l.ana.call("POST", "/api/backup-jobs/"+l.job+"/run", nil, keyHeader, key).ok(http.StatusAccepted)
	l.call("DELETE", scopesPath+"/"+rule, nil).ok(http.StatusNoContent)
	l.ana.call("POST", "/api/backup-jobs/"+l.job+"/run", nil, keyHeader, key).problem(http.StatusNotFound)
}

func TestARequestThatPanicsGivesItsKeyBack(t *testing.T) {
	f := signedIn(t)
	job, _, _ := f.job("orders")
	panics := f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Panic("a defect")
	key, path := uuid.NewString(), "/api/backup-jobs/"+job+"/run"
	f.call("POST", path, nil, keyHeader, key).problem(http.StatusInternalServerError)
	panics.Unset()
	f.starts()
	dbtest.Execute(t, f.url, `UPDATE backup_executions SET status = 'failed', finished_at = now()`)
	f.call("POST", path, nil, keyHeader, key).ok(http.StatusAccepted)
}
