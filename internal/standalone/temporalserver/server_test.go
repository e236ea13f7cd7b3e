package temporalserver_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
)

const queue = "test"

func TestServerStartsWithNamespaceAndSearchAttributes(t *testing.T) {
	server := start(t, temporalserver.Options{DataDir: t.TempDir(), Retention: 72 * time.Hour})
	c := dial(t, server)

	described, err := c.WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: temporalserver.DefaultNamespace})
	require.NoError(t, err)
	require.Equal(t, 72*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	listed, err := c.OperatorService().ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: temporalserver.DefaultNamespace})
	require.NoError(t, err)
	for _, name := range contract.SearchAttributeNames() {
		require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, listed.GetCustomAttributes()[name], name)
	}

	for _, path := range []string{"/", "/api/v1/settings", "/healthz"} {
		response, err := http.Get(server.UIURL() + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, path)
	}
}

func TestEnsureNamespaceSetsUpANamespaceThatTheServerDoesNotKnow(t *testing.T) {
	server := start(t, temporalserver.Options{InMemory: true, UIPort: temporalserver.NoUI})
	c := dial(t, server)
	require.Empty(t, server.UIURL())

	for range 2 { // the second time there is nothing left to do
		require.NoError(t, temporalclient.EnsureNamespace(t.Context(), c, temporalclient.Namespace{Name: "another"}))
	}
	count, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: "another", Query: contract.SearchJob.GetName() + " = 'nightly'",
	})
	require.NoError(t, err)
	require.Zero(t, count.GetCount())
}

func TestRestartKeepsHistoryAndFinishesWhatWasRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "at", "start")
	first := start(t, temporalserver.Options{DataDir: dir, UIPort: temporalserver.NoUI})
	c := dial(t, first)
	stopWorker := runWorker(t, c)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "waiting", TaskQueue: queue,
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchJob.ValueSet("nightly")),
	}, "wait")
	require.NoError(t, err)
	stopWorker()
	c.Close()
	first.Stop(t.Context())

	second := start(t, temporalserver.Options{DataDir: dir, UIPort: temporalserver.NoUI, Retention: 24 * time.Hour})
	c = dial(t, second)
	described, err := c.WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: temporalserver.DefaultNamespace})
	require.NoError(t, err)
	require.Equal(t, 24*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(), "a changed retention is taken over")

	defer runWorker(t, c)()
	require.NoError(t, c.SignalWorkflow(t.Context(), "waiting", run.GetRunID(), "go", "hello"))
	var answer string
	require.NoError(t, c.GetWorkflow(t.Context(), "waiting", run.GetRunID()).Get(t.Context(), &answer))
	require.Equal(t, "hello", answer)
}

func TestTakenPortIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	taken := listener.Addr().(*net.TCPAddr).Port

	_, err = temporalserver.Start(t.Context(), temporalserver.Options{InMemory: true, FrontendPort: taken})
	require.ErrorContains(t, err, "address already in use")
	_, err = temporalserver.Start(t.Context(), temporalserver.Options{InMemory: true, UIPort: taken})
	require.ErrorContains(t, err, "open the port of the Temporal UI")
}

func start(t *testing.T, opts temporalserver.Options) *temporalserver.Server {
	t.Helper()
	server, err := temporalserver.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { server.Stop(context.Background()) })
	return server
}

func dial(t *testing.T, server *temporalserver.Server) client.Client {
	t.Helper()
	c, err := temporalclient.Dial(t.Context(), temporalclient.Options{Address: server.Address(), Namespace: temporalserver.DefaultNamespace})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// runWorker serves a workflow that ends with the text of its first "go" signal.
func runWorker(t *testing.T, c client.Client) (stop func()) {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) (string, error) {
		var text string
		workflow.GetSignalChannel(ctx, "go").Receive(ctx, &text)
		return text, nil
	}, workflow.RegisterOptions{Name: "wait"})
	require.NoError(t, w.Start())
	return w.Stop
}
