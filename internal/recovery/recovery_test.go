package recovery

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

// source is a datasource of a test, with an id whose end is known.
type source struct{ name, id string }

func newSource(name string) source { return source{name, uuid.Must(uuid.NewV7()).String()} }

// fixture is a local storage location with an identity that opens what is backed up to it.
type fixture struct {
	dir   string
	store storage.Store
	id    *age.X25519Identity
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "backups")
	store, err := local.Open(t.Context(), local.Options{Root: dir})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return fixture{dir, store, id}
}

func (f fixture) recovery(identities ...age.Identity) *Recovery {
	return &Recovery{Store: f.store, Identities: identities}
}

// backUp writes streams as one backup and returns its execution id.
func (f fixture) backUp(t *testing.T, s source, started time.Time, streams map[string][]byte, recipients ...age.Recipient) string {
	t.Helper()
	return f.backUpAttempt(t, s, started, uuid.Must(uuid.NewV7()).String(), 1, streams, recipients...)
}

func (f fixture) backUpAttempt(t *testing.T, s source, started time.Time, execution string, attempt int32, streams map[string][]byte, recipients ...age.Recipient) string {
	t.Helper()
	ctx := context.Background()
	var secret [32]byte
	_, err := rand.Read(secret[:])
	require.NoError(t, err)
	dir := archive.DatasourceDir(s.name, s.id)
	w, err := archive.NewWriter(ctx, archive.WriterOptions{
		Store: f.store, DatasourceDir: dir, Generation: domain.ID8(execution), Secret: secret,
		Folder: archive.FolderOf(domain.ID8(execution), execution, attempt),
		Params: archive.Params{Average: 4096, Min: 1024, Max: 8192}, Compression: domain.CompressionZstd, Recipients: recipients,
	})
	require.NoError(t, err)
	for name, data := range streams {
		require.NoError(t, w.WriteStream(ctx, archive.StreamMeta{Name: name, Format: "text"}, bytes.NewReader(data)))
	}
	_, err = w.Commit(ctx, archive.Header{
		ExecutionID: execution, DatasourceID: s.id, DatasourceName: s.name, DatasourceType: domain.Postgres, BackupType: domain.Full,
		StartedAt: started,
	}, archive.ManifestKey(dir, started, execution, attempt))
	require.NoError(t, err)
	return execution
}

func noise(seed uint64, size int) []byte {
	random := mathrand.New(mathrand.NewPCG(seed, 7))
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

var started = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// chunk is the path of one chunk of the backup.
func (f fixture) chunk(t *testing.T, execution string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(f.dir, "*", "chunks", domain.ID8(execution), "*", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found[len(found)/2]
}

// flip changes one byte of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

func (f fixture) find(t *testing.T, r *Recovery, backup string) Backup {
	t.Helper()
	b, err := r.Find(t.Context(), Ref{Backup: backup})
	require.NoError(t, err)
	return b
}

func TestABackupIsFoundByItsIdAndAsTheLatest(t *testing.T) {
	f, orders, users := newFixture(t), newSource("Orders DB"), newSource("Users")
	streams := map[string][]byte{"main": []byte("x")}
	first := f.backUp(t, orders, started, streams)
	last := f.backUp(t, orders, started.Add(time.Hour), streams)
	renamed := source{"Orders, renamed", orders.id}
	newest := f.backUp(t, renamed, started.Add(2*time.Hour), streams)
	other := f.backUp(t, users, started.Add(3*time.Hour), streams)
	r := f.recovery()
	for want, ref := range map[string][]Ref{
		first:  {{Backup: first}, {Backup: domain.ID8(first)}, {Backup: first, Datasource: "Orders DB"}},
		last:   {{Backup: last}},
		newest: {{Backup: Latest, Datasource: "Orders DB"}, {Backup: Latest, Datasource: "orders renamed"}, {Backup: Latest, Datasource: orders.id}},
		other:  {{Backup: Latest, Datasource: "users"}, {Backup: Latest, Datasource: archive.DatasourceDir(users.name, users.id)}},
	} {
		for _, one := range ref {
			b, err := r.Find(t.Context(), one)
			require.NoError(t, err, one)
			require.Equal(t, want, b.Manifest.ExecutionID, one)
		}
	}
	for _, c := range []struct {
		ref   Ref
		class failure.Class
		text  string
	}{
		{Ref{Backup: Latest}, failure.ConfigInvalid, "several datasources"},
		{Ref{Backup: Latest, Datasource: "nothing"}, failure.NotFound, `"nothing"`},
		{Ref{Backup: uuid.NewString()}, failure.NotFound, "no backup"},
		{Ref{Backup: first, Datasource: "users"}, failure.NotFound, "no backup"},
		{Ref{Backup: "ab"}, failure.NotFound, "no backup"},
	} {
		_, err := r.Find(t.Context(), c.ref)
		require.Equal(t, c.class, failure.ClassOf(err), c.ref)
		require.ErrorContains(t, err, c.text)
		require.NotEmpty(t, failure.HintOf(err))
	}
}

func TestOfTwoAttemptsTheLaterOneIsTaken(t *testing.T) {
	f, s, execution := newFixture(t), newSource("orders"), uuid.Must(uuid.NewV7()).String()
	f.backUpAttempt(t, s, started, execution, 2, map[string][]byte{"main": []byte("second")})
	f.backUpAttempt(t, s, started, execution, 1, map[string][]byte{"main": []byte("first")})
	for _, ref := range []string{execution, domain.ID8(execution), Latest} {
		require.Equal(t, 2, f.find(t, f.recovery(), ref).Name.Attempt, ref)
	}
}

func TestAnEmptyLocationSaysSo(t *testing.T) {
	f := newFixture(t)
	_, err := f.recovery().Find(t.Context(), Ref{Backup: Latest})
	require.Equal(t, failure.NotFound, failure.ClassOf(err))
	require.Contains(t, failure.HintOf(err), archive.RepositoryKey)
}

func TestListShowsWhatIsDamagedAndWhy(t *testing.T) {
	f, s := newFixture(t), newSource("orders")
	data := map[string][]byte{"main": noise(1, 50_000)}
	good := f.backUp(t, s, started, data, f.id.Recipient())
	open := f.backUp(t, s, started.Add(time.Minute), data)
	changed := f.backUp(t, s, started.Add(2*time.Minute), data, f.id.Recipient())
	cut := f.backUp(t, s, started.Add(3*time.Minute), data)
	swapped := f.backUp(t, s, started.Add(4*time.Minute), data)
	manifest := func(execution string) string {
		return filepath.Join(f.dir, f.find(t, f.recovery(), execution).Name.Key)
	}

	edit(t, manifest(changed), func(text string) string { return strings.Replace(text, `"bytes": 50000`, `"bytes": 50000 `, 1) })
	edit(t, manifest(cut), func(text string) string { return text[:len(text)/2] })
	other, err := os.ReadFile(manifest(open))
	require.NoError(t, err)
	edit(t, manifest(swapped), func(string) string { return string(other) })

	for _, identities := range [][]age.Identity{nil, {f.id}} {
		entries, err := f.recovery(identities...).List(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, entries, 5)
		require.Equal(t, []string{good, open, changed, "", ""},
			[]string{entries[0].ExecutionID, entries[1].ExecutionID, entries[2].ExecutionID, entries[3].ExecutionID, entries[4].ExecutionID})
		require.Empty(t, entries[0].Problem)
		require.Empty(t, entries[1].Problem)
		require.Equal(t, int64(50_000), entries[0].SizeBytes)
		require.Equal(t, []string{f.id.Recipient().String()}, entries[0].Recipients)
		require.Len(t, entries[0].ManifestSHA256, 64)
		require.Equal(t, []StreamEntry{{"main", "text", 50_000}}, entries[0].Streams)
		if identities != nil {
			require.Contains(t, entries[2].Problem, "mac", "an identity finds a manifest that was edited")
		}
		require.Contains(t, entries[3].Problem, "open manifest")
		require.Contains(t, entries[4].Problem, "another backup")
	}
	stranger, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	entries, err := f.recovery(stranger).List(t.Context(), s.id)
	require.NoError(t, err)
	require.Contains(t, entries[0].Problem, "none of the identities")
	_, err = f.recovery().Find(t.Context(), Ref{Backup: Latest})
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "an older backup is not taken for the latest")
}

func edit(t *testing.T, path string, change func(string) string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	after := change(string(content))
	require.NotEqual(t, string(content), after)
	require.NoError(t, os.WriteFile(path, []byte(after), 0o600))
}

func TestVerifyFindsWhatIsMissingQuicklyAndWhatIsChangedFully(t *testing.T) {
	f, s := newFixture(t), newSource("orders")
	execution := f.backUp(t, s, started, map[string][]byte{"a": noise(1, 60_000), "b": noise(2, 9_000)}, f.id.Recipient())
	r := f.recovery(f.id)
	b := f.find(t, r, execution)
	for _, full := range []bool{false, true} {
		checked, err := r.Verify(t.Context(), b, full)
		require.NoError(t, err)
		require.Equal(t, int64(len(b.Manifest.Objects)), checked.Objects)
		require.Equal(t, b.Manifest.StoredBytes(), checked.Bytes)
	}
	_, err := f.recovery().Verify(t.Context(), f.find(t, r, execution), false)
	require.NoError(t, err, "sizes are looked at without an identity")
	_, err = f.recovery().Verify(t.Context(), f.find(t, r, execution), true)
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err))

	chunk := f.chunk(t, execution)
	flip(t, chunk)
	_, err = r.Verify(t.Context(), b, false)
	require.NoError(t, err, "the size is as it was")
	_, err = r.Verify(t.Context(), b, true)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
	require.ErrorContains(t, err, filepath.Base(chunk))
	require.NoError(t, os.Remove(chunk))
	_, err = r.Verify(t.Context(), b, false)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
	require.ErrorContains(t, err, filepath.Base(chunk))
}

func TestADumpIsWholeOrNotThere(t *testing.T) {
	f, s := newFixture(t), newSource("orders")
	data := noise(1, 60_000)
	execution := f.backUp(t, s, started, map[string][]byte{"main": data}, f.id.Recipient())
	r := f.recovery(f.id)
	b := f.find(t, r, execution)
	var out bytes.Buffer
	n, err := r.Dump(t.Context(), b, "", &out)
	require.NoError(t, err)
	require.Equal(t, int64(len(data)), n)
	require.True(t, bytes.Equal(data, out.Bytes()))
	_, err = r.Dump(t.Context(), b, "nothing", io.Discard)
	require.Equal(t, failure.NotFound, failure.ClassOf(err))

	dir := t.TempDir()
	path := filepath.Join(dir, "orders.dump")
	_, err = r.DumpToFile(t.Context(), b, "", path, false)
	require.NoError(t, err)
	requireFile(t, path, data)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.WriteFile(path, []byte("keep"), 0o600))
	_, err = r.DumpToFile(t.Context(), b, "", path, false)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.Contains(t, failure.HintOf(err), "--force")
	requireFile(t, path, []byte("keep"))
	flip(t, f.chunk(t, execution))
	_, err = r.DumpToFile(t.Context(), b, "", path, true)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
	requireFile(t, path, []byte("keep"))
	flip(t, f.chunk(t, execution))
	_, err = r.DumpToFile(t.Context(), b, "", path, true)
	require.NoError(t, err)
	requireFile(t, path, data)
	requireEntries(t, dir, "orders.dump")
}

func TestSeveralStreamsGoIntoAFolderThatIsWholeOrNotThere(t *testing.T) {
	f, s := newFixture(t), newSource("orders")
	streams := map[string][]byte{"app": noise(1, 30_000), "odd/../name": noise(2, 20), ".hidden": nil, strings.Repeat("x", 400): []byte("long")}
	execution := f.backUp(t, s, started, streams, f.id.Recipient())
	r := f.recovery(f.id)
	b := f.find(t, r, execution)
	_, err := r.Dump(t.Context(), b, "", io.Discard)
	require.ErrorContains(t, err, "several streams")

	parent := t.TempDir()
	folder := Target{Folder: filepath.Join(parent, "out")}
	chunk := f.chunk(t, execution)
	flip(t, chunk)
	require.Equal(t, failure.Corrupt, failure.ClassOf(r.Restore(t.Context(), b, folder, false)))
	requireEntries(t, parent)
	flip(t, chunk)
	require.NoError(t, r.Restore(t.Context(), b, folder, false))
	requireEntries(t, parent, "out")
	files, err := os.ReadDir(folder.Folder)
	require.NoError(t, err)
	require.Len(t, files, len(streams))
	requireFile(t, filepath.Join(folder.Folder, "app"), streams["app"])
	requireFile(t, filepath.Join(folder.Folder, "odd%2F..%2Fname"), streams["odd/../name"])
	err = r.Restore(t.Context(), b, folder, false)
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "a folder with something in it is not touched")
}

func TestTheLocationIsReadAndNeverMade(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nothing")
	l, err := ParseLocation("local:" + missing)
	require.NoError(t, err)
	_, err = l.Open(t.Context())
	require.Equal(t, failure.NotFound, failure.ClassOf(err))
	require.NoDirExists(t, missing)
	require.NoError(t, os.Mkdir(missing, 0o700))
	l, err = ReadLocation(strings.NewReader(fmt.Sprintf(`{"type": "local", "config": {"path": %q}}`, missing)))
	require.NoError(t, err)
	store, err := l.Open(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.Close())
	for _, text := range []string{"", "local:", "s3:bucket", "/mnt/backups"} {
		_, err := ParseLocation(text)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), text)
	}
	for _, text := range []string{"", "{", `{"type": 1}`, `{"type": "local", "secret": "p4ss"}`, `{"config": {"path": "/x", "max_size_gb": "p4ss"}}`} {
		_, err := ReadLocation(strings.NewReader(text))
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), text)
		require.NotContains(t, err.Error(), "p4ss")
	}
}

func TestATargetTakesNoPasswordOnTheCommandLine(t *testing.T) {
	target, err := ParseTarget("postgres://admin@db.example.com/orders?sslmode=require", "p4ss")
	require.NoError(t, err)
	require.Equal(t, domain.ConnectionConfig{
		Host: "db.example.com", Port: 5432, Database: "orders", Username: "admin", Password: "p4ss", SSLMode: domain.SSLRequire,
	}, target.Server.Config)
	target, err = ParseTarget("postgresql:///orders?host=/run/postgresql&user=admin&port=5433", "")
	require.NoError(t, err)
	require.Equal(t, domain.ConnectionConfig{
		Host: "/run/postgresql", Port: 5433, Database: "orders", Username: "admin", SSLMode: domain.SSLDisable,
	}, target.Server.Config)
	target, err = ParseTarget("dir:/tmp/x", "")
	require.NoError(t, err)
	require.Equal(t, "/tmp/x", target.Folder)
	target, err = ParseTarget("sqlite:/srv/orders.db", "")
	require.NoError(t, err)
	require.Equal(t, domain.SQLite, target.Server.Type)
	require.Equal(t, domain.ConnectionConfig{FilePath: "/srv/orders.db"}, target.Server.Config)
	require.Equal(t, "/srv/orders.db", target.Database)
	for _, text := range []string{
		"", "dir:", "sqlite:", "orders", "mysql://u@h/d", "postgres://u:p4ss@h/d", "postgres://u@h/", "postgres://h/d", "postgres://u@h/d?sslmode=prefer",
		"postgres://u@h/d?options=x", "postgres://u@h/d?port=x", "postgres://u@h/d?sslrootcert=/nothing/here", "postgres://u:p4ss@h:x/d",
	} {
		_, err := ParseTarget(text, "p4ss")
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), text)
		require.NotContains(t, failure.Message(err), "p4ss", text)
	}
}

func requireFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), path)
}

func requireEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.ElementsMatch(t, want, names)
}
