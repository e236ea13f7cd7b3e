package integration

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

// newPlatform is a platform with a catalogue, a master key and an owner of its own, on the shared
// servers. Its worker serves a pool of its name.
func newPlatform(t *testing.T, name string) *platform {
	t.Helper()
	p := &platform{dir: t.TempDir(), postgres: shared.postgres, temporal: shared.temporal, pool: strings.ReplaceAll(name, "_", "-")}
	t.Cleanup(p.close)
	var err error
	p.catalogue, err = p.postgres.EnsureDatabase(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, p.startProduct(t.Context()))
	require.NoError(t, p.signUp(t.Context()))
	return p
}

func (p *platform) addDatasource(t *testing.T, name, database string) client.Datasource {
	t.Helper()
	address, err := url.Parse(p.postgres.DatabaseURL(database))
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	d, err := p.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: name, Type: domain.Postgres, Pool: p.pool, ConnectionConfig: domain.ConnectionConfig{
			Host: address.Hostname(), Port: port, Database: database, Username: address.User.Username(), Password: p.postgres.Password(),
		},
	})
	require.NoError(t, err)
	return d
}

func (p *platform) addStorage(t *testing.T, name, path string) client.StorageLocation {
	t.Helper()
	s, err := p.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: name, Type: domain.StorageLocal, Pool: p.pool, Config: domain.StorageConfig{Path: path},
	})
	require.NoError(t, err)
	return s
}

func (p *platform) backUp(t *testing.T, job string) client.Execution {
	t.Helper()
	e, err := p.owner.RunJob(t.Context(), job, nil)
	require.NoError(t, err)
	ended, err := p.owner.WaitExecution(t.Context(), e.ID, nil)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	return ended
}

func (p *platform) imports(t *testing.T, s client.StorageLocation, dryRun bool) client.ImportCounts {
	t.Helper()
	counts, err := p.owner.ImportStorage(t.Context(), s.ID, dryRun)
	require.NoError(t, err)
	return counts
}

// lostPlatform is a storage location with two good backups and a damaged one, and the recovery kit of
// the platform that made them.
type lostPlatform struct {
	old           *platform
	database, dir string
	first, second client.Execution
	damaged       string // key of the manifest that was cut off
	kit           string
	other         *age.X25519Identity // opens the backups too
}

func losePlatform(t *testing.T) *lostPlatform {
	t.Helper()
	l := &lostPlatform{old: newPlatform(t, "import_old"), database: unique(t), dir: filepath.Join(t.TempDir(), "backups")}
	s := &setup{database: l.database, rows: 500}
	s.createDatabase(t, l.database)
	s.fill(t)
	var err error
	l.other, err = age.GenerateX25519Identity()
	require.NoError(t, err)
	require.NoError(t, l.old.owner.AddRecipient(t.Context(), l.other.Recipient().String(), "vault"))
	datasource, storage := l.old.addDatasource(t, "Orders", l.database), l.old.addStorage(t, "disk", l.dir)
	job, err := l.old.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
		Name: "nightly", DatasourceID: datasource.ID, StorageLocationID: storage.ID, BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	l.first = l.old.backUp(t, job.ID)
	s.exec(t, l.database, "insert into customers (name) values ('the newest')")
	l.second = l.old.backUp(t, job.ID)
	require.Equal(t, []domain.BackupType{domain.Full, domain.Incremental}, []domain.BackupType{l.first.BackupType, l.second.BackupType})
	third := l.old.backUp(t, job.ID)
	l.damaged = third.Metadata.ManifestPath
	require.NoError(t, os.Truncate(filepath.Join(l.dir, l.damaged), 1000))
	var kit bytes.Buffer
	require.NoError(t, process.WriteRecoveryKit(t.Context(), &kit, l.old.db))
	l.kit = kit.String()
	require.Contains(t, l.kit, l.other.Recipient().String())
	require.Contains(t, l.kit, `{"type":"local","config":{"path":"`+l.dir+`"}}`)
	return l
}

// The walk-through of docs/operations.md, "When the platform is lost".
func TestALostPlatformIsRebuiltFromItsStorage(t *testing.T) {
	t.Parallel()
	l := losePlatform(t)
	fresh := newPlatform(t, "import_new")
	taken := fresh.addDatasource(t, "orders", "postgres")
	storage := fresh.addStorage(t, "found disk", l.dir)

	before := fresh.imports(t, storage, false)
	require.Equal(t, []int64{3, 0, 2, 1}, []int64{before.Found, before.Imported, before.Skipped, before.Damaged}, "%+v", before)
	require.Contains(t, strings.Join(before.Messages, "\n"), "import the identity")
	require.NoError(t, fresh.owner.ImportIdentity(t.Context(), l.kit, "the lost platform"))

	dry := fresh.imports(t, storage, true)
	require.Equal(t, []int64{3, 2, 0, 1}, []int64{dry.Found, dry.Imported, dry.Skipped, dry.Damaged}, "%+v", dry)
	_, found, err := fresh.db.FindExecution(t.Context(), l.first.ID)
	require.NoError(t, err)
	require.False(t, found, "a dry run changes nothing")

	real := fresh.imports(t, storage, false)
	require.Equal(t, []int64{3, 2, 0, 1}, []int64{real.Found, real.Imported, real.Skipped, real.Damaged}, "%+v", real)
	require.Len(t, real.Messages, 1)
	require.Contains(t, real.Messages[0], l.damaged)
	for _, lost := range []client.Execution{l.first, l.second} {
		l.requireImported(t, fresh, lost.ID)
	}
	datasource, err := fresh.db.GetDatasource(t.Context(), *l.first.DatasourceID)
	require.NoError(t, err)
	require.NotEqual(t, taken.ID, datasource.ID)
	require.Equal(t, "Orders (imported)", datasource.Name)
	require.False(t, datasource.Enabled)
	require.Empty(t, datasource.Config.Password)

	again := fresh.imports(t, storage, false)
	require.Equal(t, []int64{3, 0, 2, 1}, []int64{again.Found, again.Imported, again.Known, again.Damaged}, "%+v", again)

	target := fresh.addDatasource(t, "target", "postgres")
	restored, err := fresh.owner.Restore(t.Context(), l.second.ID, client.RestoreRequest{
		TargetDatasourceID: target.ID, TargetDatabase: l.database + "_back", ConfirmationPhrase: client.ConfirmRestore(target.Name),
	})
	require.NoError(t, err)
	restored, err = fresh.owner.WaitExecution(t.Context(), restored.ID, nil)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	(&setup{}).requireSame(t, l.database, l.database+"_back")

	l.requireReplicas(t, fresh)
	l.requireNoIdentityInHistory(t, fresh, storage)
}

// requireImported compares the row and the chunks of a backup with those of the lost catalogue.
func (l *lostPlatform) requireImported(t *testing.T, p *platform, id string) {
	t.Helper()
	want, err := l.old.db.GetExecution(t.Context(), id)
	require.NoError(t, err)
	got, err := p.db.GetExecution(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, got.Status)
	require.Equal(t, domain.TriggerImport, got.Metadata.Trigger)
	require.Equal(t, []any{want.DatasourceID, want.BackupType, want.SizeBytes, want.CompressedSizeBytes, want.Generation, want.ParentExecutionID, want.IncrementNumber, want.Metadata.ReusedBytes},
		[]any{got.DatasourceID, got.BackupType, got.SizeBytes, got.CompressedSizeBytes, got.Generation, got.ParentExecutionID, got.IncrementNumber, got.Metadata.ReusedBytes})
	require.Equal(t, []any{want.Metadata.ManifestPath, want.Metadata.ManifestSHA256, want.Metadata.ToolVersions, want.Metadata.Options},
		[]any{got.Metadata.ManifestPath, got.Metadata.ManifestSHA256, got.Metadata.ToolVersions, got.Metadata.Options})
	require.WithinDuration(t, *want.StartedAt, *got.StartedAt, 1e6)
	chunks, err := l.old.db.ListChunks(t.Context(), id)
	require.NoError(t, err)
	require.NotEmpty(t, chunks)
	imported, err := p.db.ListChunks(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, chunks, imported)
}

// requireReplicas imports a copy of the location.
func (l *lostPlatform) requireReplicas(t *testing.T, p *platform) {
	t.Helper()
	copied := l.dir + "-copy"
	require.NoError(t, os.CopyFS(copied, os.DirFS(l.dir)))
	location := p.addStorage(t, "copy", copied)
	first := p.imports(t, location, false)
	require.Equal(t, []int64{3, 0, 2, 1}, []int64{first.Found, first.Imported, first.Replicas, first.Damaged}, "%+v", first)
	second := p.imports(t, location, false)
	require.Equal(t, []int64{2, 0}, []int64{second.Known, second.Replicas}, "%+v", second)
	replicas, err := p.db.ListReplicas(t.Context(), l.first.ID)
	require.NoError(t, err)
	require.Len(t, replicas, 1)
	require.Equal(t, l.first.Metadata.ManifestPath, replicas[0].ManifestPath)
}

func (l *lostPlatform) requireNoIdentityInHistory(t *testing.T, p *platform, s client.StorageLocation) {
	t.Helper()
	identity, _, err := l.old.db.AgeIdentity(t.Context())
	require.NoError(t, err)
	text := history(t, client.Execution{Metadata: domain.ExecutionMetadata{WorkflowID: contract.ImportWorkflowID(s.ID)}}).String()
	require.Contains(t, text, s.ID)
	require.NotContains(t, text, strings.TrimPrefix(identity, "AGE-SECRET-KEY-"))
	require.NotContains(t, text, p.postgres.Password())
}

// An additional recipient opens what a platform stored, with nothing of the platform.
func TestAnAdditionalRecipientReadsABackupAlone(t *testing.T) {
	t.Parallel()
	p, database := newPlatform(t, "recipient_only"), unique(t)
	s := &setup{database: database, rows: 100}
	s.createDatabase(t, database)
	s.fill(t)
	vault, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	require.NoError(t, p.owner.AddRecipient(t.Context(), vault.Recipient().String(), ""))
	dir := filepath.Join(t.TempDir(), "backups")
	datasource, storage := p.addDatasource(t, "d", database), p.addStorage(t, "s", dir)
	job, err := p.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{Name: "j", DatasourceID: datasource.ID, StorageLocationID: storage.ID})
	require.NoError(t, err)
	backup := p.backUp(t, job.ID)

	location, err := recovery.ParseLocation("local:" + dir)
	require.NoError(t, err)
	store, err := location.Open(t.Context())
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	r := &recovery.Recovery{Store: store, Identities: []age.Identity{vault}}
	found, err := r.Find(t.Context(), recovery.Ref{Backup: backup.ID})
	require.NoError(t, err)
	require.Len(t, found.Manifest.Recipients, 2)
	for _, stream := range found.Manifest.Streams {
		n, err := r.Dump(t.Context(), found, stream.Name, io.Discard)
		require.NoError(t, err)
		require.Equal(t, stream.Bytes, n)
	}
}
