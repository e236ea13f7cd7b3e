package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/limit"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/workflows"
)

// site is an installation with one job: a real catalogue, the real workflow and activities, a
// datasource that holds the bytes a test gives it, and storage locations in memory.
type site struct {
	t      *testing.T
	url    string
	d      *db.DB
	source *source
	stores map[string]*faulty.Store // path of a location -> its content
	disks  map[string]*disk         // what is inside of these
	store  *faulty.Store            // of the job's first location
	job    db.BackupJob

	mu   sync.Mutex
	dies map[string]int // boundary -> how often a worker dies there
	seen map[string]int // boundary -> how often it was reached
	then map[string]func()
	uses []storage.Use // what locations were opened for

	recordEvery time.Duration // activities.Tuning.RecordEvery
	probeLimit  time.Duration // activities.Tuning.ProbeLimit
	commands    []string      // that hooks may run
}

func newSite(t *testing.T) *site {
	t.Helper()
	url := dbtest.URL(t)
	s := &site{
		t: t, url: url, d: dbtest.Open(t, url), source: &source{}, stores: map[string]*faulty.Store{}, disks: map[string]*disk{},
		dies: map[string]int{}, seen: map[string]int{}, then: map[string]func(){},
		// At the end of a dump, in the goroutine of its activity: in another one a worker that dies at dump.batch_recorded
		// takes the tests with it, as soon as the machine is slow enough for a record to be due before.
		recordEvery: time.Hour,
	}
	t.Cleanup(s.empty)
	first := s.d // tests may open another, which is closed before
	t.Cleanup(func() { requireDocumented(t, first) })
	datasource, err := s.d.CreateDatasource(t.Context(), db.Datasource{Name: "orders", Type: domain.Postgres, Enabled: true})
	require.NoError(t, err)
	s.job = s.newJob("nightly", datasource.ID, s.location("/disk"))
	s.store = s.stores["/disk"]
	return s
}

// empty lets go of what is large: Temporal's test environment keeps the rest until the last test has ended, and together it was ten
// gigabytes under the race detector.
func (s *site) empty() {
	for _, d := range s.disks {
		_, _ = d.remove(context.Background(), func(string) bool { return true }) // memory
	}
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	s.source.data = nil
}

// requireDocumented fails the test when something was told with what templates for its type are not let show.
func requireDocumented(t *testing.T, d *db.DB) {
	told, _, err := d.ListNotifications(context.Background(), db.NotificationFilter{}, db.Page{Limit: db.MaxPageSize})
	require.NoError(t, err)
	for _, n := range told {
		e := notify.Event{Type: n.Type, Metadata: n.Metadata}.FromMetadata("https://backup.example.com")
		require.Empty(t, e.Undocumented(), "%s: %s", n.Type, n.Title)
	}
}

// location makes a storage location and returns its id.
func (s *site) location(at string) string {
	s.t.Helper()
	created, err := s.d.CreateStorageLocation(s.t.Context(), db.StorageLocation{
		Name: at, Type: domain.StorageLocal, Enabled: true, Config: domain.StorageConfig{Path: at},
	})
	require.NoError(s.t, err)
	s.disks[at] = &disk{Store: memory.New(0), volume: at, puts: map[string]int{}}
	s.stores[at] = faulty.New(s.disks[at])
	return created.ID
}

func (s *site) newJob(name, datasource, location string) db.BackupJob {
	s.t.Helper()
	job, err := s.d.CreateBackupJob(s.t.Context(), db.BackupJob{
		Name: name, DatasourceID: datasource, StorageLocationID: location, Enabled: true,
	})
	require.NoError(s.t, err)
	return job
}

// at is the boundary hook.
func (s *site) at(boundary string) {
	s.mu.Lock()
	s.seen[boundary]++
	dies := s.dies[boundary] > 0
	if dies {
		s.dies[boundary]--
	}
	then := s.then[boundary]
	delete(s.then, boundary)
	s.mu.Unlock()
	if then != nil {
		then()
	}
	if dies {
		panic("the worker dies at " + boundary)
	}
}

func (s *site) used(use storage.Use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses = append(s.uses, use)
}

// onSeen does something the first time that a boundary is reached.
func (s *site) onSeen(boundary string, then func()) { s.then[boundary] = then }

// recipients parses one.
func recipients(t *testing.T, recipient string) []age.Recipient {
	t.Helper()
	parsed, err := age.ParseX25519Recipient(recipient)
	require.NoError(t, err)
	return []age.Recipient{parsed}
}

// kind are the options of a run of a type.
func kind(k domain.BackupType) domain.BackupOptions {
	return domain.BackupOptions{BackupType: k, Verify: domain.VerifyFull}
}

// queue makes an execution of a job.
func (s *site) queue(job db.BackupJob, options domain.BackupOptions) db.Execution {
	s.t.Helper()
	options.Normalize()
	require.NoError(s.t, options.Validate().OrNil())
	e, err := s.d.CreateExecution(s.t.Context(), db.Execution{
		JobID: &job.ID, DatasourceID: &job.DatasourceID, StorageLocationID: &job.StorageLocationID, BackupType: options.BackupType,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerManual, Options: &options},
	})
	require.NoError(s.t, err)
	return e
}

// run runs the workflow of an execution to its end, whatever that is.
func (s *site) run(e db.Execution) db.Execution {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	env.SetWorkerOptions(worker.Options{})
	s.register(env)
	contract.Replicate.Register(env, workflows.Replicate)
	// It goes on by itself; retain runs the real one.
	contract.ApplyRetention.Register(env, func(workflow.Context, contract.RetentionInput) (contract.RetentionDone, error) {
		return contract.RetentionDone{}, nil
	})
	env.ExecuteWorkflow(workflows.Backup, contract.ExecutionInput{ExecutionID: e.ID})
	require.True(s.t, env.IsWorkflowCompleted())
	ended, err := s.d.GetExecution(context.Background(), e.ID)
	require.NoError(s.t, err)
	return ended
}

// register gives the activities to an environment.
func (s *site) register(env worker.ActivityRegistry) {
	tuning := activities.DefaultTuning()
	tuning.Attempts, tuning.RecordEvery, tuning.ProbeLimit = 4, s.recordEvery, s.probeLimit
	activities.New(activities.Options{
		DB: s.d, Engines: map[domain.DatasourceType]engine.Engine{domain.Postgres: s.source}, Tuning: tuning, Boundary: s.at,
		Open: func(_ context.Context, _ domain.StorageLocationType, c domain.StorageConfig, use storage.Use) (storage.Store, error) {
			s.used(use)
			if use.BandwidthMbps > 0 {
				return limit.NewBandwidth(s.stores[c.Path], use.BandwidthMbps), nil
			}
			return s.stores[c.Path], nil
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), HookCommands: s.commands,
	}).Register(env)
}

// backup runs the site's job, which alone keeps the addresses of hooks.
func (s *site) backup(options domain.BackupOptions) db.Execution {
	s.t.Helper()
	if options.Hooks != nil {
		s.setJob(func(j *db.BackupJob) { j.BackupOptions.Hooks = options.Hooks })
	}
	return s.run(s.queue(s.job, options))
}

// good is a backup that completes.
func (s *site) good(k domain.BackupType) db.Execution {
	s.t.Helper()
	e := s.backup(kind(k))
	s.requireGood(e)
	return e
}

// requireGood reads a backup back whole and compares it with what the datasource holds now, and its
// rows with its manifest.
func (s *site) requireGood(e db.Execution) *archive.Manifest {
	s.t.Helper()
	require.Equal(s.t, domain.Completed, e.Status, e.ErrorMessage)
	m := s.requireReads(e, s.source.content())
	chunks, err := s.d.ListChunks(context.Background(), e.ID)
	require.NoError(s.t, err)
	uploaded := map[archive.ChunkID]db.Chunk{}
	for _, c := range chunks {
		uploaded[c.ID] = c
	}
	require.Len(s.t, chunks, len(m.Objects), "one row for each chunk the backup refers to")
	var added int64
	for i, o := range m.Objects {
		row := uploaded[o.ID]
		require.Equal(s.t, m.Folder(i), row.Generation)
		require.Equal(s.t, archive.OwnFolder(m.Folder(i), e.Generation, e.ID), row.Uploaded)
		if row.Uploaded {
			added += o.StoredBytes
		}
	}
	require.Equal(s.t, added, e.CompressedSizeBytes, "what the execution added")
	require.Equal(s.t, m.StoredBytes()-added, e.Metadata.ReusedBytes)
	return m
}

// requireReads reads a backup back and compares it with data.
func (s *site) requireReads(e db.Execution, data []byte) *archive.Manifest {
	s.t.Helper()
	return s.requireReadsFrom(*e.StorageLocationID, e, data)
}

// requireReadsFrom is requireReads from a storage location that holds the backup.
func (s *site) requireReadsFrom(locationID string, e db.Execution, data []byte) *archive.Manifest {
	s.t.Helper()
	location, err := s.d.GetStorageLocation(context.Background(), locationID)
	require.NoError(s.t, err)
	store := s.stores[location.Config.Path]
	m, err := archive.OpenManifest(context.Background(), store, e.Metadata.ManifestPath, e.Metadata.ManifestSHA256)
	require.NoError(s.t, err)
	secret, _, err := s.d.AgeIdentity(context.Background())
	require.NoError(s.t, err)
	identity, err := age.ParseX25519Identity(secret)
	require.NoError(s.t, err)
	reader, err := archive.NewReader(store, m, []age.Identity{identity}, archive.ReaderOptions{})
	require.NoError(s.t, err)
	stream, err := reader.OpenStream(context.Background(), "main")
	require.NoError(s.t, err)
	defer func() { _ = stream.Close() }()
	got, err := io.ReadAll(stream)
	require.NoError(s.t, err)
	require.True(s.t, bytes.Equal(data, got), "%d bytes came back of %d", len(got), len(data))
	return m
}

// requireNothingElse fails when the job's store holds a chunk that no manifest names, or one twice.
func (s *site) requireNothingElse(backups ...db.Execution) {
	s.t.Helper()
	s.requireNothingElseIn(s.store, backups...)
}

// requireNothingElseIn is requireNothingElse for any store.
func (s *site) requireNothingElseIn(store *faulty.Store, backups ...db.Execution) {
	s.t.Helper()
	named := map[string]bool{}
	for _, e := range backups {
		m, err := archive.OpenManifest(context.Background(), store, e.Metadata.ManifestPath, e.Metadata.ManifestSHA256)
		require.NoError(s.t, err)
		named[e.Metadata.ManifestPath] = true
		for i := range m.Objects {
			named[m.ObjectKey(i)] = true
		}
	}
	ids := map[string]string{}
	for key := range s.contentsOf(store) {
		if key == archive.RepositoryKey {
			continue
		}
		require.True(s.t, named[key], "%s is a leftover", key)
		if path.Base(key) != "manifest.json" {
			require.Empty(s.t, ids[path.Base(key)], "%s is stored twice", key)
			ids[path.Base(key)] = key
		}
	}
	require.GreaterOrEqual(s.t, len(named), len(ids))
}

// contents is the hash of every object of the job's store.
func (s *site) contents() map[string][32]byte { return s.contentsOf(s.store) }

func (s *site) contentsOf(store *faulty.Store) map[string][32]byte {
	s.t.Helper()
	all := map[string][32]byte{}
	var keys []string
	require.NoError(s.t, store.List(context.Background(), "", func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	}))
	for _, key := range keys {
		body, err := store.Get(context.Background(), key, 0, -1)
		require.NoError(s.t, err)
		content, err := io.ReadAll(body)
		require.NoError(s.t, err)
		all[key] = sha256.Sum256(content)
	}
	return all
}

// logged is an execution's log as text.
func logged(e db.Execution) string {
	var text strings.Builder
	for _, line := range e.Metadata.ExecutionLogs {
		text.WriteString(line.Level + ": " + line.Message + "\n")
	}
	return text.String()
}

// disk is a store in memory that knows its volume and counts what is put into it.
type disk struct {
	storage.Store
	volume string
	age    time.Duration // of what is listed, more than it has
	mu     sync.Mutex
	puts   map[string]int
}

func (d *disk) Volume(context.Context) (string, error) { return d.volume, nil }

func (d *disk) List(ctx context.Context, prefix string, visit func(storage.Object) error) error {
	return d.Store.List(ctx, prefix, func(o storage.Object) error {
		o.ModTime = o.ModTime.Add(-d.age)
		return visit(o)
	})
}

func (d *disk) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	err := d.Store.Put(ctx, key, body, size)
	if err == nil {
		d.mu.Lock()
		d.puts[key]++
		d.mu.Unlock()
	}
	return err
}

// wipe empties it.
func (d *disk) wipe(t *testing.T) {
	t.Helper()
	d.lose(t, func(string) bool { return true })
}

// lose removes some objects.
func (d *disk) lose(t *testing.T, lost func(key string) bool) {
	t.Helper()
	n, err := d.remove(context.Background(), lost)
	require.NoError(t, err)
	require.NotZero(t, n)
}

// remove removes some objects, and says how many.
func (d *disk) remove(ctx context.Context, which func(key string) bool) (int, error) {
	var keys []string
	err := d.Store.List(ctx, "", func(o storage.Object) error {
		if which(o.Key) {
			keys = append(keys, o.Key)
		}
		return nil
	})
	for _, key := range keys {
		err = errors.Join(err, d.Delete(ctx, key))
	}
	return len(keys), err
}

// source is a datasource whose dump is the bytes it holds.
type source struct {
	mu      sync.Mutex
	data    []byte
	refused failure.Class // a dump fails with this class when it has handed over half
	once    bool          // only the next one does
	meeting *sync.WaitGroup
	ran     []string // statements that hooks ran
	pieces  *pieces  // set: the dump is a stream of segments
	more    []stream // besides main
	silent  bool     // the server does not answer

	unreadable bool // the engine can not read what it once dumped
}

// Execute takes every statement but one that says fail, or hang.
func (s *source) Execute(ctx context.Context, _ engine.Source, statement string) error {
	s.mu.Lock()
	s.ran = append(s.ran, statement)
	s.mu.Unlock()
	switch statement {
	case "repeat a row":
		return failure.New(failure.Unknown, "run the statement", `a trigger says "alice@secret.example" (SQLSTATE P0001)`, "")
	case "fail":
		return failure.New(failure.ConfigInvalid, "run the statement", "syntax error", "")
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// fill gives it size random bytes, the same for the same seed.
func (s *source) fill(seed uint64, size int) {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	data := make([]byte, size)
	_, _ = random.Read(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
}

// change overwrites some bytes in the middle.
func (s *source) change(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = slices.Clone(s.data)
	copy(s.data[len(s.data)/2:], text)
}

func (s *source) content() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

func (s *source) Type() domain.DatasourceType { return domain.Postgres }

func (s *source) Probe(ctx context.Context, _ engine.Source) (engine.Info, error) {
	if s.silent {
		<-ctx.Done()
		return engine.Info{}, ctx.Err()
	}
	return engine.Info{Version: "1"}, nil
}

func (s *source) Estimate(context.Context, engine.Source) (engine.Estimate, error) {
	return engine.Estimate{Bytes: int64(len(s.content()))}, nil
}

func (s *source) Dump(ctx context.Context, _ engine.Source, opts engine.DumpOptions, sink engine.Sink) (engine.Report, error) {
	if s.meeting != nil { // both dumps are under way at once
		s.meeting.Done()
		s.meeting.Wait()
	}
	data := s.content()
	var r io.Reader = bytes.NewReader(data)
	if s.pieces != nil {
		var err error
		if r, err = s.pieces.stream(ctx, data, opts.Base); err != nil {
			return engine.Report{}, err
		}
	}
	if s.refused != "" {
		r = io.MultiReader(bytes.NewReader(data[:len(data)/2]), failing{failure.New(s.refused, "dump", "the tool died", "")})
		if s.once {
			s.refused = ""
		}
	}
	err := sink(ctx, engine.Stream{Name: "main", Format: "bytes"}, r)
	for _, other := range s.more {
		if err == nil {
			err = sink(ctx, engine.Stream{Name: other.name, Format: other.format}, strings.NewReader(other.content))
		}
	}
	return engine.Report{ServerVersion: "1", ToolVersions: map[string]string{"tool": "1"}, Warnings: []string{"a table was skipped"}}, err
}

func (s *source) Inspect(_ context.Context, _ engine.Stream, r io.Reader) (int, error) {
	_, err := io.Copy(io.Discard, r)
	if err == nil && s.unreadable {
		err = failure.New(failure.Corrupt, "list the dump", "it is no dump", "")
	}
	return 1, err
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
