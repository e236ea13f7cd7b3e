package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

const (
	ownerEmail    = "owner@example.com"
	ownerPassword = "correct horse battery"
	dbPassword    = "s3cret-of-the-database"
)

// lockedBuffer is a log that requests write to at the same time.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// fixture is an API over a database of its own, with Temporal stubbed at the client's interface.
type fixture struct {
	t        *testing.T
	url      string // of the database
	db       *db.DB
	temporal *mocks.Client
	server   *server
	http     *httptest.Server
	log      *lockedBuffer
	known    routes
	token    string
}

// healthy is a Temporal that is there, unless the test says what it answers to that.
type healthy struct{ *mocks.Client }

func (h healthy) CheckHealth(ctx context.Context, request *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	for _, expected := range h.ExpectedCalls {
		if expected.Method == "CheckHealth" {
			return h.Client.CheckHealth(ctx, request)
		}
	}
	return &client.CheckHealthResponse{}, nil
}

func newFixture(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, url: dbtest.URL(t), temporal: &mocks.Client{}, log: &lockedBuffer{}}
	f.db = dbtest.Open(t, f.url)
	options := Options{
		DB: f.db, Temporal: healthy{f.temporal}, Version: "test", TemporalUIURL: "http://temporal.example/",
		Logger:      slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		TestTimeout: 2 * time.Second,
		LoginLimits: auth.ThrottleLimits{AccountBurst: 1000, AccountInterval: time.Millisecond, AddressBurst: 1000, AddressInterval: time.Millisecond, MaxEntries: 100},
	}
	for _, c := range change {
		c(&options)
	}
	require.NoError(t, f.db.SeedAccess(context.Background(), auth.RoleNames()))
	var err error
	f.server, err = newServer(options)
	require.NoError(t, err)
	f.known = f.routes()
	f.http = httptest.NewServer(f.server.engine)
	t.Cleanup(func() {
		f.http.Close()
		require.NotContains(t, f.log.String(), notAudited)
	})
	return f
}

// signedIn is a fixture with an owner whose session the calls carry.
func signedIn(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, change...)
	answer := f.call("POST", "/api/auth/setup", object{"email": ownerEmail, "name": "Owner", "password": ownerPassword})
	require.Equal(t, http.StatusCreated, answer.status, answer.text)
	f.token = answer.get("token").(string)
	return f
}

type object = map[string]any

type reply struct {
	t      *testing.T
	status int
	header http.Header
	text   string
}

// call sends body (a string as it is, anything else as JSON, nil for none).
func (f *fixture) call(method, path string, body any, headers ...string) reply {
	f.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		require.NoError(f.t, err)
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, f.http.URL+path, reader)
	require.NoError(f.t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if f.token != "" {
		request.Header.Set("Authorization", "Bearer "+f.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := f.http.Client().Do(request)
	require.NoError(f.t, err)
	defer func() { require.NoError(f.t, answer.Body.Close()) }()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		return reply{f.t, answer.StatusCode, answer.Header, ""} // it may have no end
	}
	text, err := io.ReadAll(answer.Body)
	require.NoError(f.t, err)
	told := reply{f.t, answer.StatusCode, answer.Header, string(text)}
	f.holdToDocument(method, path, told)
	return told
}

// get reads a member of the answer by path, for example get("connection_config", "host").
func (r reply) get(path ...string) any {
	r.t.Helper()
	var value any
	require.NoError(r.t, json.Unmarshal([]byte(r.text), &value), r.text)
	for _, name := range path {
		object, ok := value.(map[string]any)
		require.True(r.t, ok, "no %v in %s", path, r.text)
		value = object[name]
	}
	return value
}

// problem checks that the answer is a problem of this status in the one form, and returns it.
func (r reply) problem(status int) problem.Problem {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.text)
	require.Equal(r.t, problem.ContentType, r.header.Get("Content-Type"))
	require.NotEmpty(r.t, r.header.Get("X-Request-Id"))
	var p problem.Problem
	require.NoError(r.t, json.Unmarshal([]byte(r.text), &p), r.text)
	require.Equal(r.t, status, p.Status)
	require.Equal(r.t, http.StatusText(status), p.Title)
	require.NotEmpty(r.t, p.Detail)
	return p
}

// wrong checks a 422 that names this field, and returns the message.
func (r reply) wrong(location string) string {
	r.t.Helper()
	p := r.problem(http.StatusUnprocessableEntity)
	for _, field := range p.Errors {
		if field.Location == location {
			return field.Message
		}
	}
	r.t.Fatalf("no %s in %s", location, r.text)
	return ""
}

func (r reply) ok(status int) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.text)
	return r
}

func datasourceBody(name string) object {
	return object{"name": name, "type": "postgres", "tags": []string{" Prod ", "prod"}, "connection_config": object{
		"host": "db.example.com", "database": "orders", "username": "backup", "password": dbPassword,
	}}
}

func storageBody(name string) object {
	return object{"name": name, "type": "local", "config": object{"path": "/srv/backups"}}
}

// job creates a datasource, a storage location and a job between them, and returns the job's id.
func (f *fixture) job(name string) (job, datasource, storage string) {
	f.t.Helper()
	datasource = f.call("POST", "/api/datasources", datasourceBody(name)).ok(201).get("id").(string)
	storage = f.call("POST", "/api/storage-locations", storageBody(name)).ok(201).get("id").(string)
	job = f.call("POST", "/api/backup-jobs", object{"name": name, "datasource_id": datasource, "storage_location_id": storage}).ok(201).get("id").(string)
	return job, datasource, storage
}

// completed writes a completed backup of a job.
func (f *fixture) completed(job, datasource, storage string) string {
	f.t.Helper()
	ctx := context.Background()
	row, err := f.db.CreateExecution(ctx, db.Execution{
		JobID: &job, DatasourceID: &datasource, StorageLocationID: &storage,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerManual},
	})
	require.NoError(f.t, err)
	require.NoError(f.t, f.db.FinishExecution(ctx, row.ID, db.Finish{Status: domain.Completed}))
	return row.ID
}

// finish ends an execution well.
func (f *fixture) finish(id string) {
	f.t.Helper()
	require.NoError(f.t, f.db.FinishExecution(context.Background(), id, db.Finish{Status: domain.Completed}))
}

// starts lets Temporal take workflows.
func (f *fixture) starts() *mock.Call {
	return f.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(&mocks.WorkflowRun{}, nil)
}

// as is the fixture with the session of a new user who holds exactly these permissions.
func (f *fixture) as(permissions ...auth.Permission) *fixture {
	f.t.Helper()
	user, role := uuid.NewString(), uuid.NewString()
	names := make([]string, len(permissions))
	for i, p := range permissions {
		names[i] = string(p)
	}
	dbtest.Execute(f.t, f.url, `INSERT INTO users (id, email) VALUES ($1, $2)`, user, user+"@example.com")
	dbtest.Execute(f.t, f.url, `INSERT INTO roles (id, name) VALUES ($1, $2)`, role, "role "+role)
	dbtest.Execute(f.t, f.url, `INSERT INTO user_roles (user_id, role_id) VALUES ($1, $2)`, user, role)
	dbtest.Execute(f.t, f.url, `INSERT INTO role_permissions (role_id, permission_id) SELECT $1, id FROM permissions WHERE name = ANY($2)`, role, names)
	other := *f
	other.token = f.session(user, time.Now().Add(time.Hour))
	return &other
}

// session signs a user in without the API.
func (f *fixture) session(userID string, expires time.Time) string {
	f.t.Helper()
	token, hash, err := auth.NewToken()
	require.NoError(f.t, err)
	_, err = f.db.CreateSession(context.Background(), db.Session{UserID: userID, TokenHash: hash, ExpiresAt: expires})
	require.NoError(f.t, err)
	return token
}

// auditEntry is a row of the audit trail.
type auditEntry struct {
	Action, Resource, ResourceID, Actor, Changes string
}

// audits reads the audit trail of an action, oldest first.
func (f *fixture) audits(action string) []auditEntry {
	f.t.Helper()
	ctx := context.Background()
	rows, err := f.connect().Query(ctx, `SELECT action, resource, resource_id, actor_name, changes::text FROM audit_logs WHERE action = $1 ORDER BY created_at, id`, action)
	require.NoError(f.t, err)
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[auditEntry])
	require.NoError(f.t, err)
	return entries
}

// connect opens a connection to the database past every layer of ours.
func (f *fixture) connect() *pgx.Conn {
	f.t.Helper()
	conn, err := pgx.Connect(context.Background(), f.url)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, conn.Close(context.Background())) })
	return conn
}
