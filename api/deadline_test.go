package api

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// hurried is the fixture with an API beside its own whose requests have so long.
func (f *fixture) hurried(limit time.Duration) *fixture {
	f.t.Helper()
	options := f.server.opts
	options.RequestTimeout = limit
	other := *f
	var err error
	other.server, err = newServer(options)
	require.NoError(f.t, err)
	other.http = httptest.NewServer(other.server.engine)
	f.t.Cleanup(other.http.Close)
	return &other
}

func TestARequestThatTakesTooLongGivesItsConnectionBack(t *testing.T) {
	patient := signedIn(t)
	job, _, _ := patient.job("orders")
	f := patient.hurried(300 * time.Millisecond)
	for _, table := range []string{"backup_jobs", "auth_sessions"} {
		blocker := f.connect()
		_, err := blocker.Exec(t.Context(), "BEGIN; LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 40 { // more than the pool has connections
			all.Go(func() {
				answer := f.call("GET", "/api/backup-jobs", nil)
				assert.Equal(t, http.StatusServiceUnavailable, answer.status)
				assert.Contains(t, answer.text, "not ready within 300ms")
			})
		}
		all.Wait()
		f.call("PATCH", "/api/backup-jobs/"+job, object{"name": "late"}).problem(http.StatusServiceUnavailable)
		_, err = blocker.Exec(t.Context(), "ROLLBACK")
		require.NoError(t, err)
		require.NotEqual(t, "late", patient.call("GET", "/api/backup-jobs/"+job, nil).ok(200).get("name"), "what was given up changes nothing later")
	}
	require.NotContains(t, f.log.String(), "request failed")
}

func TestAStreamOutlivesTheTimeThatARequestHas(t *testing.T) {
	const limit = time.Second
	f := signedIn(t)
	f.starts()
	job, _, _ := f.job("orders")
	id := f.call("POST", "/api/backup-jobs/"+job+"/run", nil).ok(202).get("id").(string)
	f = f.hurried(limit)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+"/api/executions/"+id+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+f.token)
	answer, err := f.http.Client().Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	lines := bufio.NewScanner(answer.Body)
	require.True(t, lines.Scan())
	<-time.After(2 * limit) // it is what is tested
	require.NoError(t, f.db.FinishExecution(context.Background(), id, db.Finish{Status: domain.Completed}))
	text := ""
	for lines.Scan() {
		text += lines.Text() + "\n"
	}
	require.NoError(t, lines.Err())
	require.Contains(t, text, "event: end")
}

// raw sends a request as it is, over a connection of its own, and gives the connection.
func (f *fixture) raw(text string) net.Conn {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.http.Listener.Addr().String())
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte(text))
	require.NoError(f.t, err)
	require.NoError(f.t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	return conn
}

func TestABodyThatDoesNotArriveIsNotWaitedFor(t *testing.T) {
	f := signedIn(t, func(o *Options) { o.BodyTimeout = 200 * time.Millisecond })
	job, _, _ := f.job("orders")
	for name, head := range map[string]string{
		"a sign-in":          "POST /api/auth/login HTTP/1.1\r\n",
		"a new datasource":   "POST /api/datasources HTTP/1.1\r\n",
		"with a key":         "POST /api/backup-jobs/" + job + "/run HTTP/1.1\r\nIdempotency-Key: k\r\n",
		"of unknown length":  "POST /api/datasources HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
		"a document in YAML": "POST /api/system/config HTTP/1.1\r\n",
	} {
		length, body := "Content-Length: 100\r\n", `{"email": `
		if strings.Contains(head, "chunked") {
			length, body = "", "5\r\n{\"ema\r\n"
		}
		conn := f.raw(head + "Host: x\r\nAuthorization: Bearer " + f.token + "\r\nContent-Type: application/json\r\n" + length + "\r\n" + body)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		require.Equal(t, http.StatusRequestTimeout, answer.StatusCode, name)
		require.Equal(t, problem.ContentType, answer.Header.Get("Content-Type"), name)
		require.NoError(t, answer.Body.Close())
	}
}

// On a connection whose reads have timed out net/http takes the client for gone, so the deadline of the body must not
// outlive it.
func TestARequestMayTakeLongerThanItsBody(t *testing.T) {
	const body = 100 * time.Millisecond
	f := signedIn(t, func(o *Options) { o.BodyTimeout = body })
	run := &mocks.WorkflowRun{}
	run.On("Get", mock.Anything, mock.Anything).Return(func(ctx context.Context, _ any) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * body):
			return nil
		}
	})
	run.On("GetID").Return("workflow")
	f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(run, nil)
	_, _, storage := f.job("orders")
	// Where there is no body net/http waits for the client's end before the deadline of the body is set.
	f.call("POST", "/api/storage-locations/"+storage+"/reconcile", nil).ok(200)
	f.call("POST", "/api/storage-locations/"+storage+"/reconcile", object{"dry_run": true}).ok(200)
}

// A connection goes on with other requests after a stream, whose pieces each have so long to be taken.
func TestAConnectionKeepsNoDeadlineOfAStream(t *testing.T) {
	f := signedIn(t)
	f.starts()
	job, datasource, storage := f.job("orders")
	id := f.completed(job, datasource, storage)
	get := func(path string) string {
		return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, f.token)
	}
	deadlines := &watched{}
	f.http.Close()
	f.serveWatched(deadlines)
	conn := f.raw(get("/api/executions/" + id + "/events"))
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	_, err = answer.Body.Read(make([]byte, 1))
	require.NoError(t, err)
	for err == nil {
		_, err = answer.Body.Read(make([]byte, 4096))
	}
	require.Less(t, time.Until(deadlines.last()), time.Minute, "the stream had limits of its own")
	_, err = conn.Write([]byte(get("/api/auth/me")))
	require.NoError(t, err)
	answer, err = http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	last := deadlines.last() // net/http takes that of a request away when the request has ended
	require.True(t, last.IsZero() || time.Until(last) > time.Minute, last)
}
