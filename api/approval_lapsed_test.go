package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// An approval is used later than it was given: what made it good is asked for again, and another person is asked where it is gone.
func TestAnApprovalLapsesWithTheRightOfWhoGaveIt(t *testing.T) {
	a := newAsking(t)
	for name, c := range map[string]struct {
		lapse func(user string)
		says  string
	}{
		"deactivated": {func(user string) { a.call("PATCH", usersPath+"/"+user, object{"is_active": false}).ok(200) }, "deactivated"},
		"without the permission": {func(user string) {
			a.call("PUT", usersPath+"/"+user+"/roles", object{"roles": []string{"readonly"}}).ok(200)
		}, "executions.control"},
		"limited to others": {func(user string) {
			a.call("POST", scopesPath, object{"user_id": user, "permission": "executions.control", "effect": "deny", "resource": "datasource", "resource_id": a.datasource}).ok(201)
		}, "limited"},
		"gone": {func(user string) { a.call("DELETE", usersPath+"/"+user, nil).ok(204) }, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/api/executions/" + a.completed(a.job, a.datasource, a.storage)
			lapses := len(a.audits("approval.lapsed"))
			id := a.ana.call("DELETE", path, nil).asked()
			first := a.as(auth.ExecutionsControl)
			user := first.me()
			first.call("POST", approvalsPath+"/"+id+"/approve", object{"note": "fine"}).ok(200)
			c.lapse(user)
			refused := a.ana.call("DELETE", path, nil, approvalHeader, id).problem(http.StatusConflict)
			require.Contains(t, refused.Detail, "may not do so any more")
			require.Contains(t, refused.Detail, c.says)
			require.Len(t, a.audits("approval.lapsed"), lapses+1)
			open := a.bob.call("GET", approvalsPath+"/"+id, nil).ok(200)
			require.Equal(t, []any{"pending", nil, ""}, []any{open.get("status"), open.get("decided_by"), open.get("note")}, "another person is asked")
			require.Contains(t, a.ana.call("DELETE", path, nil, approvalHeader, id).problem(http.StatusConflict).Detail, "pending")
			a.bob.call("POST", approvalsPath+"/"+id+"/approve", nil).ok(200)
			a.ana.call("DELETE", path, nil, approvalHeader, id).ok(202)
		})
	}
	ana := a.ana.me()
	why, err := whyLapsed(t.Context(), a.db.Queries, db.Approval{RequestedBy: ana, DecidedBy: &ana, Permission: string(auth.ExecutionsControl)})
	require.NoError(t, err)
	require.Contains(t, why, "their own")
}
