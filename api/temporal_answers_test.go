package api

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db/dbtest"
)

// A run that is asked for while Temporal is away is refused before anything is written: there is no execution that failed, and nobody is
// told of one. When Temporal is there again, in the time that it is given, it is started.
func TestARunWhileTemporalIsAwayWritesNothing(t *testing.T) {
	f := signedIn(t)
	started := f.starts()
	job, _, _ := f.job("orders")
	away := f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(nil, errors.New("connection refused"))
	run := "/api/backup-jobs/" + job + "/run"
	require.Contains(t, f.call("POST", run, nil).problem(http.StatusServiceUnavailable).Detail, "Temporal can not be reached")
	require.Empty(t, f.call("GET", "/api/executions", nil).ok(200).get("items"))
	for _, table := range []string{"backup_executions", "notifications", "audit_logs WHERE action = 'backup_job.run'"} {
		require.Zero(t, dbtest.Count(t, f.url, "SELECT count(*) FROM "+table), table)
	}
	f.temporal.AssertNotCalled(t, "ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything)

	away.Unset()
	f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(nil, errors.New("connection refused")).Times(3)
	f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(&client.CheckHealthResponse{}, nil)
	f.call("POST", run, nil).ok(http.StatusAccepted)
	started.Unset()
}
