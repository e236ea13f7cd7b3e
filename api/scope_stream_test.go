package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// member is another member of the team, with these rules.
func (l limited) member(email string, rules ...object) *fixture {
	l.t.Helper()
	id := l.user(email, "team")
	for _, rule := range rules {
		body := object{"user_id": id, "permission": "*", "effect": "allow"}
		for name, value := range rule {
			body[name] = value
		}
		l.call("POST", scopesPath, body).ok(201)
	}
	member := *l.fixture
	member.token = l.session(id, time.Now().Add(time.Hour))
	return &member
}

// seen reads events until one is about an execution in this state; any other execution is a fault.
func seen(t *testing.T, next func() event, id string, status domain.ExecutionStatus) {
	t.Helper()
	for {
		e := next()
		require.Equal(t, id, e.data.ID, "%s %s of what the caller may not see", e.name, e.data.Status)
		if e.data.Status == status {
			return
		}
	}
}

func TestTheStreamOfAllExecutionsHasWhatTheCallerMaySeeNow(t *testing.T) {
	l := newLimited(t)
	tagged := l.limit(object{"resource": "datasource", "tag": "team-a"})
	denied := l.member("bob@example.com", object{"resource": "datasource", "resource_id": l.datasource}, object{"resource": "datasource", "resource_id": l.datasource2},
		object{"effect": "deny", "resource": "datasource", "tag": "team-b"})
	other := l.member("cem@example.com", object{"resource": "datasource", "resource_id": l.datasource2})
	run := func(job string) string {
		return l.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	}
	begin := func(id string) {
		_, err := l.db.BeginExecution(t.Context(), id, "backup-"+id, "run-1")
		require.NoError(t, err)
	}
	b, a := run(l.job2), run(l.job)

	byTag, byID, events := l.ana.follow(""), denied.follow(""), other.events("")
	theirs := func() event {
		e, more := events()
		require.True(t, more, "the stream ended")
		return e
	}
	for _, next := range []func() event{byTag, byID} {
		seen(t, next, a, domain.Queued)
	}
	seen(t, theirs, b, domain.Queued)
	begin(b) // each change of b comes before one of a, which shows that it was left out
	begin(a)
	for _, next := range []func() event{byTag, byID} {
		seen(t, next, a, domain.Running)
	}
	seen(t, theirs, b, domain.Running)

	// While they are open: ana goes over to the other team, and that team's job is denied to cem.
	l.limit(object{"resource": "datasource", "tag": "team-b"})
	l.call("DELETE", scopesPath+"/"+tagged, nil).ok(204)
	require.NoError(t, l.db.FinishExecution(t.Context(), a, db.Finish{Status: domain.Completed}))
	require.NoError(t, l.db.FinishExecution(t.Context(), b, db.Finish{Status: domain.Completed}))
	seen(t, byTag, b, domain.Completed)
	seen(t, byID, a, domain.Completed)
	seen(t, theirs, b, domain.Completed)

	job3 := l.call("POST", "/api/backup-jobs", object{"name": "third", "datasource_id": l.datasource2, "storage_location_id": l.storage2}).ok(201).get("id").(string)
	cem := other.me()
	l.call("POST", scopesPath, object{"user_id": cem, "permission": "executions.read", "effect": "deny", "resource": "backup_job", "resource_id": l.job2}).ok(201)
	begin(run(l.job2))
	last := run(job3)
	seen(t, theirs, last, domain.Queued)

	l.call("PUT", usersPath+"/"+cem+"/roles", object{"roles": []string{}}).ok(200)
	begin(run(l.job))
	for e, more := events(); more; e, more = events() { // until the stream ends with the permission
		require.Equal(t, last, e.data.ID)
	}
}
