package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/demo/dbcompare"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// setup is one test's own database, datasource, storage location and job.
type setup struct {
	database, password          string
	datasourceName, storageName string
	storagePath                 string // where the objects lie as files on this machine
	place                       place
	datasource                  client.Datasource
	storage                     client.StorageLocation
	job                         client.BackupJob

	rows, noiseMB int
	port          int
	pool          string
	quotaGB       float64
	options       domain.BackupOptions
	databases     *domain.DatabaseSelection // in place of database
	tunnel        *domain.SSHTunnel
}

type option func(*setup)

// withRows fills a customers and an orders table, with n orders.
func withRows(n int) option { return func(s *setup) { s.rows = n } }

// withNoise adds a table of about n MB of random bytes, which do not compress.
func withNoise(n int) option { return func(s *setup) { s.noiseMB = n } }

func withPassword(p string) option                     { return func(s *setup) { s.password = p } }
func withPort(p int) option                            { return func(s *setup) { s.port = p } }
func withPool(name string) option                      { return func(s *setup) { s.pool = name } }
func withQuota(gb float64) option                      { return func(s *setup) { s.quotaGB = gb } }
func withStorageAt(path string) option                 { return func(s *setup) { s.place = disk(path) } }
func withStorage(p place) option                       { return func(s *setup) { s.place = p } }
func withDatabases(d *domain.DatabaseSelection) option { return func(s *setup) { s.databases = d } }
func withTunnel(b domain.SSHTunnel) option             { return func(s *setup) { s.tunnel = &b } }
func withOptions(o domain.BackupOptions) option        { return func(s *setup) { s.options = o } }

// newSetup makes everything a backup needs, through the API where there is one. The test runs beside
// others: it has nothing in common with them but the servers.
func newSetup(t *testing.T, options ...option) *setup {
	t.Helper()
	t.Parallel()
	return makeSetup(t, options...)
}

// makeSetup is newSetup for a test that orders itself what runs beside it.
func makeSetup(t *testing.T, options ...option) *setup {
	t.Helper()
	address, err := url.Parse(shared.postgres.DatabaseURL("postgres"))
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	password, _ := address.User.Password()
	s := &setup{
		database: unique(t), password: password, port: port, pool: domain.DefaultPool,
		options: domain.BackupOptions{Verify: domain.VerifyFull},
	}
	s.datasourceName, s.storageName = s.database+" source", s.database+" disk"
	for _, apply := range options {
		apply(s)
	}
	s.createDatabase(t, s.database)
	s.fill(t)
	s.register(t, address.Hostname(), address.User.Username())
	return s
}

// noiseOfRow is SQL for 100 KB that do not compress, others for each row n.
const noiseOfRow = `(select string_agg(sha512(random()::text::bytea), '') from generate_series(1, 1563) where n > 0)`

func (s *setup) fill(t *testing.T) {
	t.Helper()
	if s.rows > 0 {
		s.exec(t, s.database, fmt.Sprintf(`
			create table customers (id int primary key generated always as identity, name text not null, note bytea);
			create table orders (id bigserial primary key, customer int not null references customers, total numeric(12,2), at timestamptz);
			insert into customers (name, note) select 'customer ' || n, decode(md5(n::text), 'hex') from generate_series(1, %[1]d / 10 + 1) n;
			insert into orders (customer, total, at)
				select 1 + n %% (%[1]d / 10 + 1), n * 1.25, '2026-01-01'::timestamptz + n * interval '1 minute' from generate_series(1, %[1]d) n`, s.rows))
	}
	if s.noiseMB > 0 {
		s.exec(t, s.database, fmt.Sprintf(`
			create table noise (n int primary key, body bytea not null);
			alter table noise alter body set storage external;
			insert into noise select n, %s from generate_series(1, %d) n`, noiseOfRow, s.noiseMB*10))
	}
}

func (s *setup) register(t *testing.T, host, user string) {
	t.Helper()
	ctx := t.Context()
	var err error
	config := domain.ConnectionConfig{Host: host, Port: s.port, Database: s.database, Username: user, Password: s.password, SSHTunnel: s.tunnel}
	if s.tunnel != nil { // a host behind one counts as far away, and this server offers no TLS
		config.SSLMode = domain.SSLDisable
	}
	if s.databases != nil {
		config.Database, config.Databases = "", s.databases
	}
	s.datasource, err = shared.owner.Datasources.Create(ctx, client.DatasourceDocument{
		Name: s.datasourceName, Type: domain.Postgres, Pool: s.pool, ConnectionConfig: config,
	})
	require.NoError(t, err)
	if s.place.kind == "" {
		s.place = disk(filepath.Join(t.TempDir(), "backups"))
		s.place.config.MaxSizeGB = s.quotaGB
	}
	s.storagePath = s.place.dir
	s.storage = s.place.register(t, s.storageName, s.pool)
	s.job, err = shared.owner.BackupJobs.Create(ctx, client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: s.database, DatasourceID: s.datasource.ID, StorageLocationID: s.storage.ID, BackupOptions: s.options,
	})
	require.NoError(t, err)
}

// start runs the job and does not wait for it.
func (s *setup) start(t *testing.T) client.Execution {
	t.Helper()
	e, err := shared.owner.RunJob(t.Context(), s.job.ID, nil)
	require.NoError(t, err)
	// On a machine that is so busy that the answer of Temporal is late the API looks what became of the start.
	require.Contains(t, []domain.ExecutionStatus{domain.Queued, domain.Running}, e.Status)
	return e
}

// backUp runs the job and waits for its end, whatever that is.
func (s *setup) backUp(t *testing.T) client.Execution {
	t.Helper()
	return wait(t, s.start(t))
}

func wait(t *testing.T, e client.Execution) client.Execution {
	t.Helper()
	ended, err := shared.owner.WaitExecution(t.Context(), e.ID, nil)
	require.NoError(t, err)
	return ended
}

// requireCompleted says why an execution did not.
func requireCompleted(t *testing.T, ended client.Execution) {
	t.Helper()
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
}

func restoreTo(database string) func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.TargetDatabase = database }
}

func dropExisting() func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.DropExisting = true }
}

func verification() func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.VerificationMode, r.ConfirmationPhrase = true, client.ConfirmVerify }
}

// restore restores a backup on the test's own datasource and waits for the end.
func (s *setup) restore(t *testing.T, backup client.Execution, options ...func(*client.RestoreRequest)) client.Execution {
	t.Helper()
	request := client.RestoreRequest{TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name)}
	for _, apply := range options {
		apply(&request)
	}
	e, err := shared.owner.Restore(t.Context(), backup.ID, request)
	require.NoError(t, err)
	if request.TargetDatabase != "" {
		s.dropAfter(t, request.TargetDatabase)
	}
	return wait(t, e)
}

func (s *setup) testDatasource(t *testing.T) client.CheckResult {
	t.Helper()
	result, err := shared.owner.TestDatasource(t.Context(), s.datasource.ID)
	require.NoError(t, err)
	return result
}

// objects lists the chunk and manifest files on the storage, in order.
func (s *setup) objects(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(s.storagePath, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // nothing was written yet
			return nil
		}
		if err != nil || d.IsDir() || d.Name() == "dataguardian.json" || strings.HasSuffix(path, "/.tmp/volume") {
			return err
		}
		files = append(files, path)
		return nil
	})
	require.NoError(t, err)
	return files
}

// chunks is objects without the manifest.
func (s *setup) chunks(t *testing.T) []string {
	t.Helper()
	var chunks []string
	for _, file := range s.objects(t) {
		if strings.Contains(file, "/chunks/") {
			chunks = append(chunks, file)
		}
	}
	return chunks
}

func (s *setup) chunkRows(t *testing.T, e client.Execution) int {
	t.Helper()
	rows, err := shared.db.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	return len(rows)
}

// requireNothingLeft fails when a backup that did not succeed left a pg_dump, a file on the storage or rows of chunks behind.
func (s *setup) requireNothingLeft(t *testing.T, ended client.Execution) {
	t.Helper()
	require.Zero(t, findDump(s.database), "a pg_dump is still there")
	require.Empty(t, s.objects(t), "objects were left behind")
	require.Zero(t, s.chunkRows(t, ended), "rows of chunks were left behind")
}

// requireNoLeftovers fails when a restore left a staging or an old database behind.
func requireNoLeftovers(t *testing.T, restore client.Execution) {
	t.Helper()
	var left []string
	err := shared.admin(t, "postgres").QueryRow(t.Context(),
		"select coalesce(array_agg(datname::text), '{}') from pg_database where datname like '%' || $1", domain.ID8(restore.ID)).Scan(&left)
	require.NoError(t, err)
	require.Empty(t, left)
}

// history reads the whole Temporal history of an execution.
func history(t *testing.T, e client.Execution) *historypb.History {
	t.Helper()
	return historyOf(t, e.Metadata.WorkflowID)
}

// historyOf reads the whole history of the latest run of a workflow.
func historyOf(t *testing.T, workflowID string) *historypb.History {
	t.Helper()
	var h historypb.History
	events := shared.dialled.GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, event)
	}
	return &h
}

// attempts is how often an activity was tried, 0 when it never began.
func (s *setup) attempts(t *testing.T, e client.Execution, activity string) int32 {
	t.Helper()
	scheduled := map[int64]string{}
	var attempts int32
	for _, event := range history(t, e).Events {
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled[event.EventId] = a.ActivityType.Name
		}
		if a := event.GetActivityTaskStartedEventAttributes(); a != nil && scheduled[a.ScheduledEventId] == activity {
			attempts = max(attempts, a.Attempt)
		}
	}
	return attempts
}

// failedSteps are the activities that ended with an error, in order.
func failedSteps(h *historypb.History) []string {
	scheduled, failed := map[int64]string{}, []string{}
	for _, event := range h.Events {
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled[event.EventId] = a.ActivityType.Name
		}
		if a := event.GetActivityTaskFailedEventAttributes(); a != nil {
			failed = append(failed, scheduled[a.ScheduledEventId])
		}
	}
	return failed
}

// requireNowhere fails when a secret shows in the workflow history, in the execution with its log, on
// the storage, or in clear text in the catalogue.
func (s *setup) requireNowhere(t *testing.T, e client.Execution, secret string) {
	t.Helper()
	require.NotContains(t, plainHistory(t, e), secret, "the workflow history holds the secret")
	row, err := shared.owner.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	document, err := json.Marshal(row)
	require.NoError(t, err)
	require.NotContains(t, string(document), secret, "the API shows the secret")
	for _, path := range s.objects(t) {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.False(t, bytes.Contains(content, []byte(secret)), "%s holds the secret", path)
	}
	for _, table := range []string{"backup_executions", "backup_jobs", "datasources", "audit_logs", "health_checks", "encryption_keys", "storage_locations", "system_settings"} {
		var found bool
		err := shared.admin(t, "dataguardian").QueryRow(t.Context(),
			"select exists (select from "+table+" t where t::text like '%' || $1 || '%')", secret).Scan(&found)
		require.NoError(t, err)
		require.False(t, found, "table %s holds the secret", table)
	}
}

// plainHistory is a workflow history as text, with its payloads, which JSON would show as base64.
func plainHistory(t *testing.T, e client.Execution) string {
	t.Helper()
	var text strings.Builder
	var walk func(protoreflect.Message)
	walk = func(m protoreflect.Message) {
		m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			each := func(v protoreflect.Value) {
				switch field.Kind() {
				case protoreflect.BytesKind:
					text.Write(v.Bytes())
				case protoreflect.MessageKind:
					walk(v.Message())
				case protoreflect.StringKind:
					text.WriteString(v.String())
				}
				text.WriteByte('\n')
			}
			switch {
			case field.IsMap():
				value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					if field.MapValue().Kind() == protoreflect.MessageKind {
						walk(v.Message())
					}
					return true
				})
			case field.IsList():
				for i := range value.List().Len() {
					each(value.List().Get(i))
				}
			default:
				each(value)
			}
			return true
		})
	}
	walk(history(t, e).ProtoReflect())
	require.Contains(t, text.String(), e.ID, "the walk finds what is in payloads")
	return text.String()
}

// closedPort is a port on which nothing listens.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func (s *setup) dropAfter(t *testing.T, name string) {
	t.Helper()
	admin := shared.admin(t, "postgres")
	t.Cleanup(func() {
		_, _ = admin.Exec(context.Background(), "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)")
	})
}

// requireSame compares every row, sequence and definition of two databases.
func (s *setup) requireSame(t *testing.T, a, b string) {
	t.Helper()
	left, right := shared.admin(t, a), shared.admin(t, b)
	compared, err := dbcompare.Compare(t.Context(), left, right)
	require.NoError(t, err)
	require.NotEmpty(t, compared.Tables)
	require.Empty(t, compared.Differences())
}

func (s *setup) exec(t *testing.T, database, sql string) {
	t.Helper()
	_, err := shared.admin(t, database).Exec(t.Context(), sql)
	require.NoError(t, err)
}

func (s *setup) scalar(t *testing.T, database, sql string) (value string) {
	t.Helper()
	require.NoError(t, shared.admin(t, database).QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func (s *setup) createDatabase(t *testing.T, name string) {
	t.Helper()
	admin := shared.admin(t, "postgres")
	_, err := admin.Exec(t.Context(), "create database "+pgx.Identifier{name}.Sanitize())
	require.NoError(t, err)
	s.dropAfter(t, name)
}
