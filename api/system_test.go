package api

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
)

func TestProbesAndMetrics(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, _, _ := f.job("orders")
	f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202)

	f.call("GET", "/healthz", nil).ok(200)
	up := f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(&client.CheckHealthResponse{}, nil)
	f.call("GET", "/readyz", nil).ok(200)
	require.Equal(t, "ok", f.call("GET", "/api/health", nil).ok(200).get("status"))
	up.Unset()
	f.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(nil, errors.New("down"))
	require.Equal(t, "unreachable", f.call("GET", "/readyz", nil).ok(503).get("temporal", "status"))
	require.Equal(t, "ok", f.call("GET", "/api/health", nil).ok(200).get("database", "status"))
	require.Equal(t, "test", f.call("GET", "/api/version", nil).ok(200).get("version"))

	metrics := f.call("GET", "/metrics", nil).ok(200).text
	require.Contains(t, metrics, `dataguardian_executions{operation="backup",status="queued"} 1`)
	require.Contains(t, metrics, "dataguardian_database_up 1")
	require.Contains(t, metrics, `dataguardian_http_requests_total{method="POST",route="/api/backup-jobs/:id/run",status="202"} 1`)
}
