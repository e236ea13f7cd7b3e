package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAnErrorAnswerIsAProblem(t *testing.T) {
	for name, tc := range map[string]struct {
		kind, body string
		want       client.Problem
	}{
		"a problem keeps its fields": {
			"application/problem+json",
			`{"title":"Unprocessable Entity","status":422,"detail":"no","errors":[{"location":"connection_config.port","message":"is 0"}]}`,
			client.Problem{Title: "Unprocessable Entity", Status: 422, Detail: "no", Fields: []client.Field{{Location: "connection_config.port", Message: "is 0"}}, RetryAfter: 7 * time.Second},
		},
		"a proxy's page keeps its status": {
			"text/html", "<html>bad</html>",
			client.Problem{Title: "Unprocessable Entity", Status: 422, Detail: "the answer is not of DataGuardian's API; check the address", RetryAfter: 7 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tc.kind)
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = fmt.Fprint(w, tc.body)
			}))
			t.Cleanup(server.Close)
			_, err := client.New(server.URL).Me(context.Background())
			var p *client.Problem
			require.ErrorAs(t, err, &p)
			require.Equal(t, tc.want, *p)
			require.Equal(t, 422, client.Status(err))
		})
	}
}

// flaky is an API whose event stream breaks after one event, and whose execution ends at the
// third reading.
func flaky(t *testing.T) (*client.Client, *atomic.Int32) {
	t.Helper()
	var streams, reads atomic.Int32
	state := func(s domain.ExecutionStatus) []byte {
		text, err := json.Marshal(client.Execution{ID: "x", Status: s})
		require.NoError(t, err)
		return text
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/executions/x/events", func(w http.ResponseWriter, _ *http.Request) {
		streams.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, ": heartbeat\n\nid: 1\nevent: snapshot\ndata: %s\n\n", state(domain.Running))
	})
	mux.HandleFunc("GET /api/executions/x", func(w http.ResponseWriter, _ *http.Request) {
		status := domain.Running
		if reads.Add(1) == 3 {
			status = domain.Failed
		}
		_, _ = w.Write(state(status))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return client.New(server.URL + "/"), &streams
}

func TestWaitExecutionGoesOnWhenTheStreamBreaks(t *testing.T) {
	c, streams := flaky(t)
	final, err := c.WaitExecution(context.Background(), "x", nil)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, final.Status, "an execution that failed is an answer, not an error")
	require.Equal(t, int32(3), streams.Load(), "the stream is tried again before each reading")
}

func TestWaitExecutionEndsWithItsContext(t *testing.T) {
	c, _ := flaky(t)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := c.WaitExecution(ctx, "x", func(client.Execution) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}

func TestConfirmRestoreNamesTheTarget(t *testing.T) {
	require.Equal(t, "RESTORE orders", client.ConfirmRestore("orders"))
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	_, err := client.New(server.URL, client.WithHTTPClient(&http.Client{})).Login(t.Context(), "me@example.com", "a secret")
	require.Equal(t, http.StatusTemporaryRedirect, client.Status(err), "%v", err)
	require.Zero(t, elsewhere.Load(), "the password went to another server")
}
