package api

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/dataguardian/dataguardian/internal/auth"
)

// What happens outside of the database is in the trail before it is asked for. That it did not happen after all is there too.
func TestWhatWasAnnouncedAndNotDoneIsToldByASecondEntry(t *testing.T) {
	b := newBook(t)
	conn := b.connect()
	for operation, method := range map[string]string{
		"cancel-execution": "POST", "cancel-sync-execution": "POST", "cancel-drill-execution": "POST", "verify-execution": "POST", "retry-upload": "POST",
		"delete-execution": "DELETE", "import-storage-location": "POST", "reconcile-storage-location": "POST", "copy-storage-file": "POST", "delete-storage-files": "DELETE",
		"test-notification-channel": "POST",
	} {
		t.Run(operation, func(t *testing.T) {
			b.t = t
			b.temporal.ExpectedCalls = nil
			b.obliging()
			a := b.makes[operation]()
			b.temporal.ExpectedCalls = nil
			away := serviceerror.NewUnavailable("away")
			b.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, away)
			b.temporal.On("CancelWorkflow", mock.Anything, mock.Anything, mock.Anything).Return(away)
			b.temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, mock.Anything).Return(nil, serviceerror.NewNotFound("no such workflow"))
			request := uuid.NewString()
			b.call(method, a.path, a.body, "X-Request-Id", request).problem(http.StatusServiceUnavailable)
			found := entriesOf(t, conn, request)
			require.Len(t, found, 2)
			require.Equal(t, a.entries[0].action, found[0].Action)
			require.Equal(t, a.entries[0].action+"_failed", found[1].Action)
			require.Contains(t, found[1].Changes, "Temporal")
			require.Equal(t, found[0].ResourceID, found[1].ResourceID)
			require.Equal(t, found[0].ActorID, found[1].ActorID)
		})
	}
}

// What is refused is told in the trail, or answered as a fault: nobody tries in silence.
func TestEveryRefusalIsInTheTrailOrIsAFault(t *testing.T) {
	b := newBook(t)
	who, user := b.person(auth.DatasourcesRead)
	limited, limitedID := b.person(auth.DatasourcesWrite)
	b.made(scopesPath, object{"user_id": limitedID, "permission": "*", "effect": "allow", "resource": "datasource", "tag": "shop"})
	script := *who
	script.token = who.call("POST", tokensPath, object{"name": "ci", "permissions": []string{"datasources.read"}}).ok(201).get("token").(string)
	script.call("GET", "/api/auth/me", nil).ok(200) // its first use is noted
	conn := b.connect()
	nobody := *who
	nobody.token = ""
	for name, c := range map[string]struct {
		of           *fixture
		method, path string
		body         any
		status       int
		action       string
		actor        string // id, "" for nobody who is signed in
	}{
		"a wrong password":        {&nobody, "POST", "/api/auth/login", object{"email": ownerEmail, "password": "not the password"}, 401, "auth.login_failed", ""},
		"no token":                {&nobody, "GET", "/api/datasources", nil, 401, "access.unauthenticated", ""},
		"a permission that lacks": {who, "POST", "/api/datasources", datasourceBody("x"), 403, actionRefused, user},
		"a token for a person":    {&script, "GET", "/api/auth/sessions", nil, 403, actionRefused, user},
		"beyond a limit":          {limited, "POST", "/api/datasources", datasourceBody("x"), 403, actionRefused, limitedID},
	} {
		t.Run(name, func(t *testing.T) {
			f := *c.of
			f.t = t
			request := uuid.NewString()
			before := contents(t, conn)
			require.Contains(t, f.call(c.method, c.path, c.body, "User-Agent", unheard).problem(http.StatusInternalServerError).Detail, "audit trail")
			f.call(c.method, c.path, c.body, "X-Request-Id", request).problem(c.status)
			require.Equal(t, before, contents(t, conn))
			found := entriesOf(t, conn, request)
			require.Len(t, found, 1)
			require.Equal(t, c.action, found[0].Action)
			if c.actor == "" {
				require.Nil(t, found[0].ActorID)
				return
			}
			require.Equal(t, c.actor, *found[0].ActorID)
		})
	}
}
