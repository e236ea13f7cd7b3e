package api

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// asking is a fixture in which everything that may need an approval does, with a requester and a second person.
type asking struct {
	*fixture
	ana, bob                 *fixture
	job, datasource, storage string
	backup                   string
}

func newAsking(t *testing.T) asking {
	t.Helper()
	a := asking{fixture: signedIn(t)}
	a.job, a.datasource, a.storage = a.fixture.job("orders")
	a.backup = a.completed(a.job, a.datasource, a.storage)
	a.starts()
	for _, key := range []string{domain.SettingApproveRestore, domain.SettingApproveDeleteBackup, domain.SettingApproveDeleteStorage} {
		dbtest.Execute(t, a.url, `INSERT INTO system_settings (key, value) VALUES ($1, 'true')`, key)
	}
	a.user("ana@example.com", "admin")
	a.user("bob@example.com", "admin")
	a.ana, a.bob = a.signIn("ana@example.com", ownerPassword), a.signIn("bob@example.com", ownerPassword)
	return a
}

// asked checks that nothing was done but to ask, and returns the id of the approval.
func (r reply) asked() string {
	r.t.Helper()
	require.Equal(r.t, http.StatusAccepted, r.status, r.text)
	id := r.header.Get(approvalHeader)
	require.NotEmpty(r.t, id, r.text)
	require.Equal(r.t, approvalsPath+"/"+id, r.header.Get("Location"))
	require.Equal(r.t, id, r.get("approval", "id"))
	return id
}

func TestARestoreOverSomethingWaitsForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	path := "/api/backups/" + a.backup + "/restore"
	body := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "drop_existing": true}
	executions := func() int { return len(a.call("GET", "/api/executions", nil).ids("id")) }
	id := a.ana.call("POST", path, body).asked()
	require.Equal(t, id, a.ana.call("POST", path, body).asked(), "who asks again gets the same request")
	require.Equal(t, 1, executions())
	require.Equal(t, "pending", a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("status"))

	require.Contains(t, a.ana.call("POST", path, body, approvalHeader, id).problem(409).Detail, "pending")
	a.ana.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(403)
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", object{"note": "ticket 7"}).ok(200)
	a.bob.call("POST", approvalsPath+"/"+id+"/reject", nil).problem(409)

	other := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "drop_existing": true, "target_database": "elsewhere"}
	require.Contains(t, a.ana.call("POST", path, other, approvalHeader, id).problem(409).Detail, "another request")
	a.bob.call("POST", path, body, approvalHeader, id).wrong("header." + approvalHeader)
	require.Equal(t, 1, executions())

	answer := a.ana.call("POST", path, body, approvalHeader, id).ok(202)
	require.Equal(t, "restore", answer.get("metadata", "operation"))
	require.Contains(t, a.ana.call("POST", path, body, approvalHeader, id).problem(409).Detail, "used")
	require.Equal(t, 2, executions())
	for _, action := range []string{"approval.request", "approval.approved", "backup.restore"} {
		require.Len(t, a.audits(action), 1, action)
	}
	require.Contains(t, a.audits("backup.restore")[0].Changes, id)
	a.finish(answer.get("id").(string))

	body["drop_existing"] = false
	require.NotEmpty(t, a.ana.call("POST", path, body).ok(202).get("id"), "a restore into what must be empty asks nobody")
}

func TestDeletionsWaitForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	backup, storage := "/api/executions/"+a.backup, "/api/storage-locations/"+a.storage
	require.NotEmpty(t, a.ana.call("DELETE", storage, nil).problem(409).Holders, "what fails anyway asks nobody")
	id := a.ana.call("DELETE", backup, nil).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/reject", object{"note": "keep it"}).ok(200)
	require.Contains(t, a.ana.call("DELETE", backup, nil, approvalHeader, id).problem(409).Detail, "rejected")

	id = a.ana.call("DELETE", backup, nil).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	a.ana.call("DELETE", "/api/storage-locations/"+uuid.NewString(), nil, approvalHeader, id).problem(404)
	require.NotEmpty(t, a.ana.call("DELETE", backup, nil, approvalHeader, id).ok(202).get("id"))

	empty := "/api/storage-locations/" + a.call("POST", "/api/storage-locations", storageBody("empty")).ok(201).get("id").(string)
	id = a.ana.call("DELETE", empty, nil).asked()
	a.ana.call("GET", empty, nil).ok(200)
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	a.ana.call("DELETE", empty, nil, approvalHeader, id).ok(204)
}

func TestAnApprovalOutlivesAnOutageOfTemporal(t *testing.T) {
	a := newAsking(t)
	a.temporal.ExpectedCalls = nil
	down := a.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	describe := a.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	backup, restore := "/api/executions/"+a.backup, "/api/backups/"+a.backup+"/restore"
	body := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "drop_existing": true}
	deletion, restoring := a.ana.call("DELETE", backup, nil).asked(), a.ana.call("POST", restore, body).asked()
	for _, id := range []string{deletion, restoring} {
		a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	}
	a.ana.call("DELETE", backup, nil, approvalHeader, deletion).problem(503)
	a.ana.call("POST", restore, body, approvalHeader, restoring).problem(503)
	require.Len(t, a.audits("execution.delete_failed"), 1)
	a.reopened(deletion, restoring)
	down.Unset()
	describe.Unset()
	a.starts()
	a.ana.call("POST", restore, body, approvalHeader, restoring).ok(202)
	require.Contains(t, a.ana.call("POST", restore, body, approvalHeader, restoring).problem(409).Detail, "used")
	require.Equal(t, "approved", a.ana.call("GET", approvalsPath+"/"+deletion, nil).get("status"))
}

// reopened demands that the audit trail says of exactly these approvals, once each, that they were given back.
func (a asking) reopened(ids ...string) {
	a.t.Helper()
	var given []string
	for _, entry := range a.audits("approval.reopened") {
		given = append(given, entry.ResourceID)
	}
	require.ElementsMatch(a.t, ids, given)
}

// What did not begin is closed, whatever the trail takes.
func TestAnApprovalIsNotGivenBackWithoutItsEntry(t *testing.T) {
	a := newAsking(t)
	a.temporal.ExpectedCalls = nil
	a.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	a.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewUnavailable("away"))
	dbtest.Execute(t, a.url, `CREATE FUNCTION refuse_reopening() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk of the trail is full'; END $$`)
	dbtest.Execute(t, a.url, `CREATE TRIGGER refuse_reopening BEFORE INSERT ON audit_logs FOR EACH ROW WHEN (NEW.action = 'approval.reopened') EXECUTE FUNCTION refuse_reopening()`)
	body := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "drop_existing": true}
	id := a.ana.call("POST", "/api/backups/"+a.backup+"/restore", body).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	a.ana.call("POST", "/api/backups/"+a.backup+"/restore", body, approvalHeader, id).problem(503)
	a.reopened()
	require.Equal(t, "used", a.ana.call("GET", approvalsPath+"/"+id, nil).get("status"))
	require.Equal(t, 1, dbtest.Count(t, a.url, `SELECT count(*) FROM backup_executions WHERE operation = 'restore' AND status = 'failed'`))
}

func TestAnApprovalIsUsedOnceHoweverManyTry(t *testing.T) {
	a := newAsking(t)
	path := "/api/backups/" + a.backup + "/restore"
	body := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "drop_existing": true}
	ids := make(map[string]bool)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			id := a.ana.call("POST", path, body).header.Get(approvalHeader)
			mu.Lock()
			defer mu.Unlock()
			ids[id] = true
		})
	}
	wait.Wait()
	require.Len(t, ids, 1, "eight that ask at once ask for one approval")
	var id string
	for id = range ids {
	}
	decisions, uses := make([]int, 6), make([]int, 8)
	for i := range decisions {
		wait.Go(func() {
			verb := []string{"/approve", "/reject"}[i%2]
			decisions[i] = a.bob.call("POST", approvalsPath+"/"+id+verb, nil).status
		})
	}
	wait.Wait()
	count := map[int]int{}
	for _, status := range decisions {
		count[status]++
	}
	require.Equal(t, map[int]int{200: 1, 409: 5}, count)

	dbtest.Execute(t, a.url, `UPDATE approvals SET status = 'approved'`)
	for i := range uses {
		wait.Go(func() { uses[i] = a.ana.call("POST", path, body, approvalHeader, id).status })
	}
	wait.Wait()
	count = map[int]int{}
	for _, status := range uses {
		count[status]++
	}
	require.Equal(t, map[int]int{202: 1, 409: 7}, count)
	require.Len(t, a.audits("backup.restore"), 1)
}

func TestWhoDecides(t *testing.T) {
	a := newAsking(t)
	id := a.ana.call("DELETE", "/api/executions/"+a.backup, nil).asked()
	lacks := a.as(auth.StorageWrite)
	lacks.call("GET", approvalsPath+"/"+id, nil).problem(404)
	lacks.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(404)
	require.Empty(t, lacks.call("GET", approvalsPath, nil).ids("id"))
	a.as(auth.AuditRead).call("GET", approvalsPath, nil).problem(403)

	script := *a.bob
	script.token = a.bob.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"executions.control"}}).ok(201).get("token").(string)
	require.Equal(t, []string{id}, script.call("GET", approvalsPath+"?status=pending", nil).ids("id"))
	require.Contains(t, script.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(403).Detail, "Sign in")

	limitedUser := a.user("carl@example.com", "operator")
	a.call("POST", scopesPath, object{"user_id": limitedUser, "permission": "*", "effect": "allow", "resource": "datasource", "resource_id": a.datasource}).ok(201)
	carl := a.signIn("carl@example.com", ownerPassword)
	require.Empty(t, carl.call("GET", approvalsPath, nil).ids("id"))
	carl.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(403)
	own := carl.call("DELETE", "/api/executions/"+a.backup, nil).asked()
	require.Equal(t, []string{own}, carl.call("GET", approvalsPath, nil).ids("id"))

	a.bob.call("DELETE", approvalsPath+"/"+id, nil).problem(403)
	a.ana.call("DELETE", approvalsPath+"/"+id, nil).ok(204)
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(409)
	require.Len(t, a.audits("approval.withdrawn"), 1)
	a.bob.call("POST", approvalsPath+"/"+uuid.NewString()+"/approve", nil).problem(404)
	a.ana.call("DELETE", "/api/executions/"+a.backup, nil, approvalHeader, "not an id").wrong("header." + approvalHeader)
}

func TestAnApprovalExpires(t *testing.T) {
	a := newAsking(t)
	path := "/api/executions/" + a.backup
	id := a.ana.call("DELETE", path, nil).asked()
	expire := func() {
		dbtest.Execute(t, a.url, `UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id = $1`, id)
	}
	expire()
	require.Equal(t, "expired", a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("status"))
	require.Equal(t, []string{id}, a.bob.call("GET", approvalsPath+"?status=expired", nil).ids("id"))
	require.Empty(t, a.bob.call("GET", approvalsPath+"?status=pending", nil).ids("id"))
	require.Contains(t, a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).problem(409).Detail, "expired")
	second := a.ana.call("DELETE", path, nil).asked()
	require.NotEqual(t, id, second)
	id = second
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	expire()
	require.Contains(t, a.ana.call("DELETE", path, nil, approvalHeader, id).problem(409).Detail, "expired")
	a.ana.call("GET", path, nil).ok(200)
}

// The approval is for the server that the target was then: whoever may change datasources could point it elsewhere.
func TestAnApprovalIsForTheTargetAsItWas(t *testing.T) {
	a := newAsking(t)
	path := "/api/backups/" + a.backup + "/restore"
	body := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "drop_existing": true}
	id := a.ana.call("POST", path, body).asked()
	a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
	a.ana.call("PATCH", "/api/datasources/"+a.datasource, object{"connection_config": object{"host": "production.example.com", "password": "another"}}).ok(200)
	require.Contains(t, a.ana.call("POST", path, body, approvalHeader, id).problem(409).Detail, "another request")
}

// Chosen parts are let into a target that holds others, without drop_existing: it is a restore into what is not empty.
func TestARestoreOfPartsIntoWhatHoldsOthersWaitsForAnotherPerson(t *testing.T) {
	a := newAsking(t)
	for name, body := range map[string]object{
		"documents": {"type": "mongodb", "connection_config": object{"host": "m.example.com", "database": "shop", "username": "backup", "password": dbPassword}},
		"papers":    {"type": "files", "connection_config": object{"source_path": "/srv/papers"}},
	} {
		datasource := a.call("POST", "/api/datasources", with(body, name, "name")).ok(201).get("id").(string)
		job := a.call("POST", "/api/backup-jobs", object{"name": name, "datasource_id": datasource, "storage_location_id": a.storage}).ok(201).get("id").(string)
		path := "/api/backups/" + a.completed(job, datasource, a.storage) + "/restore"
		whole := object{"target_datasource_id": datasource, "confirmation_phrase": "RESTORE " + name}
		part := with(whole, []string{"people"}, map[string]string{"documents": "include_tables", "papers": "include_paths"}[name])
		id := a.ana.call("POST", path, part).asked()
		require.Contains(t, a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200).get("summary"), "beside what else is there")
		a.ana.call("POST", path, with(with(part, true, "verification_mode"), "VERIFY RESTORE", "confirmation_phrase")).ok(202)
		a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
		require.NotEmpty(t, a.ana.call("POST", path, part, approvalHeader, id).ok(202).get("id"))
	}
	// Of the other types they are not.
	tables := object{"target_datasource_id": a.datasource, "confirmation_phrase": "RESTORE orders", "include_tables": []string{"people"}}
	require.NotEmpty(t, a.ana.call("POST", "/api/backups/"+a.backup+"/restore", tables).ok(202).get("id"))
}
