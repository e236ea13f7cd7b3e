package activities_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

// acts are the site's activities, called without Temporal.
func (s *site) acts() *activities.Activities {
	return activities.New(activities.Options{
		DB: s.d, Engines: map[domain.DatasourceType]engine.Engine{domain.Postgres: s.source},
		Open: func(_ context.Context, _ domain.StorageLocationType, c domain.StorageConfig, _ storage.Use) (storage.Store, error) {
			if c.HostKey == "unknown" {
				return nil, failure.Wrap(failure.ConfigInvalid, "connect", unknownKey{errors.New("not confirmed")}, "Compare it.")
			}
			store, found := s.stores[c.Path]
			if !found {
				return nil, failure.New(failure.AuthFailed, "open", "refused password "+c.Password, "")
			}
			return store, nil
		},
	})
}

type unknownKey struct{ error }

func (unknownKey) ServerHostKey() (key, fingerprint string) { return "ssh-ed25519 AAAA", "SHA256:x" }

// do runs one activity.
func do[In, Out any](s *site, activity contract.Activity[In, Out], in In) (out Out, err error) {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	value, err := env.ExecuteActivity(activity.Name, in)
	if err == nil {
		require.NoError(s.t, value.Get(&out))
	}
	return out, err
}

func (s *site) deletes(location, at string) contract.FilesChanged {
	s.t.Helper()
	changed, err := do(s, contract.DeleteObjects, contract.DeleteFilesInput{StorageLocationID: location, Path: at})
	require.NoError(s.t, err)
	return changed
}

func (s *site) put(at, key, content string) {
	s.t.Helper()
	require.NoError(s.t, s.stores[at].Put(s.t.Context(), key, strings.NewReader(content), int64(len(content))))
}

// requireHeldBy fails unless the deletion was refused for this holder, and nothing was deleted.
func (s *site) requireHeldBy(location, at, holder string) {
	s.t.Helper()
	before := s.contents()
	changed := s.deletes(location, at)
	require.NotNil(s.t, changed.Refusal, "%s was deleted", at)
	require.Equal(s.t, contract.RefusedHeld, changed.Refusal.Reason, changed.Refusal.Message)
	require.Contains(s.t, strings.Join(changed.Refusal.Holders, "; "), holder)
	require.Zero(s.t, changed.Objects)
	require.Equal(s.t, before, s.contents())
}

func TestWhatAKeptBackupNeedsIsNotDeleted(t *testing.T) {
	s := newSite(t)
	location := s.job.StorageLocationID
	s.source.fill(1, 3*mib)
	full := s.good(domain.Full)
	s.source.change("a row was changed")
	increment := s.good(domain.Incremental)
	m := s.requireGood(increment)
	// Where a chunk ends differs from run to run, so which one the change touched does too.
	reused := 0
	for reused < len(m.Objects) && m.Folder(reused) != full.Generation {
		reused++
	}
	require.Less(t, reused, len(m.Objects), "the increment reuses nothing")
	shared, dir := m.ObjectKey(reused), path.Dir(path.Dir(path.Dir(full.Metadata.ManifestPath)))
	s.put("/disk", "notes/readme.txt", "mine")
	s.put("/disk", dir+"/mine.txt", "mine")

	for _, at := range []string{shared, path.Dir(shared), path.Dir(shared) + "/", dir, dir + "/chunks"} {
		s.requireHeldBy(location, at, "completed backup "+full.ID+` of "orders"`)
		s.requireHeldBy(location, at, "completed backup "+increment.ID)
	}
	s.requireHeldBy(location, full.Metadata.ManifestPath, full.ID)
	s.requireHeldBy(location, dir+"/backups", increment.ID)
	s.requireHeldBy(location, "dataguardian.json", full.ID)
	s.requireHeldBy(location, "dataguardian.json", `storage location "/disk"`)

	// What nobody needs goes, also beside a backup.
	require.Equal(t, contract.FilesChanged{Objects: 1, Bytes: 4}, s.deletes(location, dir+"/mine.txt"))
	require.Equal(t, contract.FilesChanged{Objects: 1, Bytes: 4}, s.deletes(location, "notes"))
	for _, missing := range []string{"notes", "notes/readme.txt", dir + "/chunk", shared + "/"} {
		require.Equal(t, string(failure.NotFound), s.deletes(location, missing).Refusal.Class, missing)
	}
	for _, bad := range []string{"", "/", "..", "notes/../..", "/etc/passwd", ".tmp/x"} {
		require.Equal(t, string(failure.ConfigInvalid), s.deletes(location, bad).Refusal.Class, bad)
	}
	s.requireGood(increment)

	// A backup that is being deleted needs nothing; its chunks stay for the other one.
	require.NoError(t, s.d.MarkDeleting(t.Context(), full.ID))
	require.Nil(t, s.deletes(location, full.Metadata.ManifestPath).Refusal)
	s.requireHeldBy(location, shared, increment.ID)
	require.NoError(t, s.d.MarkDeleting(t.Context(), increment.ID))
	require.Nil(t, s.deletes(location, dir).Refusal)
	require.Len(t, s.contents(), 1, "the repository's document stays")
}

func TestABackupUnderWayKeepsItsFolder(t *testing.T) {
	s := newSite(t)
	s.source.fill(2, 3*mib)
	e := s.queue(s.job, kind(domain.Full))
	tried := 0
	s.onSeen("dump.manifest_written", func() {
		tried++
		// The rows of its chunks are there by now; without them its folder is known by its name.
		dbtest.Execute(t, s.url, `DELETE FROM backup_chunks WHERE execution_id = $1`, e.ID)
		for key := range s.contents() {
			if key != archive.RepositoryKey {
				s.requireHeldBy(s.job.StorageLocationID, key, "running backup "+e.ID)
			}
		}
	})
	s.run(e)
	require.Equal(t, 1, tried)
}

func TestABackupThatTheCatalogueDoesNotKnowIsDeletedWholeOrNotAtAll(t *testing.T) {
	s := newSite(t)
	s.source.fill(3, 3*mib)
	e := s.good(domain.Full)
	chunk, dir := s.requireGood(e).ObjectKey(0), path.Dir(path.Dir(path.Dir(e.Metadata.ManifestPath)))
	dbtest.Execute(t, s.url, `DELETE FROM backup_executions WHERE id = $1`, e.ID)
	location := s.job.StorageLocationID
	s.requireHeldBy(location, chunk, e.Metadata.ManifestPath)
	s.requireHeldBy(location, dir+"/chunks", "not in the catalogue")

	// One that can not be read may need anything.
	body, err := s.store.Get(t.Context(), e.Metadata.ManifestPath, 0, -1)
	require.NoError(t, err)
	document, err := io.ReadAll(body)
	require.NoError(t, err)
	s.put("/disk", e.Metadata.ManifestPath, "damaged")
	s.requireHeldBy(location, chunk, "can not be read")
	s.put("/disk", e.Metadata.ManifestPath, string(document))
	require.Nil(t, s.deletes(location, dir).Refusal)
	require.Len(t, s.contents(), 1)
}

func TestARepositoryBelowAnotherLocationIsProtectedToo(t *testing.T) {
	s := newSite(t)
	s.source.fill(4, 2*mib)
	e := s.good(domain.Full)
	parent := s.location("/parent")
	for key := range s.contents() {
		body, err := s.store.Get(t.Context(), key, 0, -1)
		require.NoError(t, err)
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		s.put("/parent", "mounts/disk/"+key, string(content))
	}
	chunk := s.requireGood(e).ObjectKey(0)
	for _, at := range []string{"mounts", "mounts/disk/" + chunk, "mounts/disk/" + e.Metadata.ManifestPath, "mounts/disk/dataguardian.json"} {
		changed := s.deletes(parent, at)
		require.NotNil(t, changed.Refusal, at)
		require.Contains(t, strings.Join(changed.Refusal.Holders, "; "), e.ID)
	}
	dbtest.Execute(t, s.url, `DELETE FROM backup_executions WHERE id = $1`, e.ID)
	require.Contains(t, s.deletes(parent, "mounts/disk/"+chunk).Refusal.Message, "not in the catalogue")
}

func TestManyFilesAreDeletedInBatches(t *testing.T) {
	s := newSite(t)
	for i := range 2500 {
		s.put("/disk", fmt.Sprintf("old/%d/%d", i%7, i), "x")
	}
	s.put("/disk", "older", "stays")
	require.Equal(t, contract.FilesChanged{Objects: 2500, Bytes: 2500}, s.deletes(s.job.StorageLocationID, "old"))
	require.Len(t, s.contents(), 1)

	// A storage that keeps what it is told to delete is told of, not asked for ever.
	s.put("/disk", "locked/1", "x")
	s.stores["/disk"] = faulty.New(keeps{s.store})
	changed := s.deletes(s.job.StorageLocationID, "locked")
	require.Contains(t, changed.Refusal.Message, "still there")
}

// keeps is a storage that does not delete.
type keeps struct{ storage.Store }

func (keeps) Delete(context.Context, string) error { return nil }

func TestAFileIsCopiedWhereNoBackupWrites(t *testing.T) {
	s := newSite(t)
	s.source.fill(5, 2*mib)
	e := s.good(domain.Full)
	chunk := s.requireGood(e).ObjectKey(0)
	copies := func(from, to string, overwrite bool) contract.FilesChanged {
		t.Helper()
		changed, err := do(s, contract.CopyObject, contract.CopyFileInput{StorageLocationID: s.job.StorageLocationID, From: from, To: to, Overwrite: overwrite})
		require.NoError(t, err)
		return changed
	}
	require.Equal(t, int64(1), copies(chunk, "keep/this", false).Objects)
	require.Equal(t, s.contents()[chunk], s.contents()["keep/this"])
	require.Equal(t, contract.RefusedExists, copies(e.Metadata.ManifestPath, "keep/this", false).Refusal.Reason)
	require.Nil(t, copies(e.Metadata.ManifestPath, "keep/this", true).Refusal)
	require.Equal(t, s.contents()[e.Metadata.ManifestPath], s.contents()["keep/this"])
	before := s.contents()
	for _, to := range []string{chunk, e.Metadata.ManifestPath, "dataguardian.json", "sub/dataguardian.json", "sub/" + chunk} {
		require.Equal(t, contract.RefusedReserved, copies("keep/this", to, true).Refusal.Reason, to)
	}
	require.Equal(t, string(failure.NotFound), copies("nothing", "x", false).Refusal.Class)
	for _, bad := range []string{"../x", "/x", "a//b", ".tmp/x", ""} {
		require.Equal(t, string(failure.ConfigInvalid), copies("keep/this", bad, true).Refusal.Class, bad)
		require.Equal(t, string(failure.ConfigInvalid), copies(bad, "x", true).Refusal.Class, bad)
	}
	require.Equal(t, before, s.contents())
}

func TestAFolderIsListedInParts(t *testing.T) {
	s := newSite(t)
	for _, key := range []string{"d/a/1", "d/b", "d/c/2", "d/d"} {
		s.put("/disk", key, "xyz")
	}
	list := func(in contract.FolderInput) contract.FolderPart {
		t.Helper()
		in.StorageLocationID = s.job.StorageLocationID
		part, err := do(s, contract.ListFolder, in)
		require.NoError(t, err)
		return part
	}
	names := func(part contract.FolderPart) (names []string) {
		for _, e := range part.Entries {
			names = append(names, e.Name)
			require.Equal(t, !strings.HasSuffix(e.Name, "/"), e.Size == 3 && e.Modified != nil)
		}
		return names
	}
	part := list(contract.FolderInput{Path: "d", Limit: 2})
	require.Equal(t, []string{"a/", "b"}, names(part))
	require.True(t, part.More)
	part = list(contract.FolderInput{Path: "d", Limit: 2, After: "b"})
	require.Equal(t, []string{"c/", "d"}, names(part))
	require.False(t, part.More)
	require.Equal(t, []string{"d/"}, names(list(contract.FolderInput{Limit: 10})))
	require.Equal(t, string(failure.NotFound), list(contract.FolderInput{Path: "x", Limit: 1}).Refusal.Class)
	require.Equal(t, string(failure.ConfigInvalid), list(contract.FolderInput{Path: "../x", Limit: 1}).Refusal.Class)
	s.store.Inject(faulty.Fault{Op: faulty.Usage, Err: failure.New(failure.AuthFailed, "usage", "denied", "")})
	usage, err := do(s, contract.MeasureUsage, contract.StorageRef{StorageLocationID: s.job.StorageLocationID})
	require.NoError(t, err)
	require.Contains(t, usage.Refusal.Message, "denied")
	s.store.Clear()
	usage, err = do(s, contract.MeasureUsage, contract.StorageRef{StorageLocationID: s.job.StorageLocationID})
	require.NoError(t, err)
	require.Equal(t, contract.StorageUsage{Used: 12, Available: -1, Capacity: -1}, usage)
}

func (s *site) opens(file contract.StorageFile) (dataport.Content, error) {
	s.t.Helper()
	body, err := json.Marshal(file)
	require.NoError(s.t, err)
	return s.acts().TransferSources()[contract.TransferStorageFiles](s.t.Context(), body)
}

func TestAFolderIsAZipOfItsFiles(t *testing.T) {
	s := newSite(t)
	want := map[string]string{"empty": "", "a/b": strings.Repeat("chunk ", 100_000), "a/c": "c", `odd\name é`: "x"}
	for name, content := range want {
		s.put("/disk", "folder/"+name, content)
	}
	s.put("/disk", "folder2", "not this")
	at := contract.StorageFile{StorageLocationID: s.job.StorageLocationID, Pool: "default", Path: "folder"}
	content, err := s.opens(at)
	require.NoError(t, err)
	require.Equal(t, "folder.zip", content.Name)
	var out bytes.Buffer
	require.NoError(t, content.Write(t.Context(), &out))
	require.NoError(t, content.Close())
	unzipped, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	require.Len(t, unzipped.File, len(want))
	for _, f := range unzipped.File {
		r, err := f.Open()
		require.NoError(t, err)
		got, err := io.ReadAll(r) // the checksum is checked with the last byte
		require.NoError(t, err)
		require.Equal(t, want[strings.ReplaceAll(f.Name, "_", `\`)], string(got), f.Name)
	}

	for name, fault := range map[string]faulty.Fault{
		"a read that fails":         {Op: faulty.Get, Key: "a/c", Err: failure.New(failure.Unreachable, "get", "gone", "")},
		"an object that is shorter": {Op: faulty.Get, Key: "a/b", Cut: true, Truncate: 1000},
	} {
		s.store.Inject(fault)
		content, err := s.opens(at)
		require.NoError(t, err)
		out.Reset()
		require.Error(t, content.Write(t.Context(), &out), name)
		_, err = zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
		require.Error(t, err, "%s leaves no zip that looks whole", name)
		s.store.Clear()
	}
	for at, class := range map[contract.StorageFile]failure.Class{
		{Path: "nothing"}: failure.NotFound, {Path: "folder2/"}: failure.NotFound, {Path: "../folder"}: failure.ConfigInvalid,
		{Path: "folder", Pool: "site-b"}: failure.ConfigInvalid, {Path: ""}: failure.ConfigInvalid,
	} {
		at.StorageLocationID = s.job.StorageLocationID
		if at.Pool == "" {
			at.Pool = "default"
		}
		_, err := s.opens(at)
		require.Equal(t, class, failure.ClassOf(err), at.Path)
	}
}

func TestADraftIsProbedAndNothingRecorded(t *testing.T) {
	s := newSite(t)
	probe := func(config domain.StorageConfig) contract.CheckResult {
		t.Helper()
		sealed, err := s.d.SealStorageDraft(t.Context(), "draft-1", db.StorageDraft{Type: domain.StorageLocal, Config: config})
		require.NoError(t, err)
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		s.acts().Register(env)
		value, err := env.ExecuteActivity(contract.ProbeStorageDraft.Name, contract.StorageDraftInput{ID: "draft-1", Sealed: sealed})
		require.NoError(t, err)
		var result contract.CheckResult
		require.NoError(t, value.Get(&result))
		return result
	}
	require.Equal(t, domain.HealthOK, probe(domain.StorageConfig{Path: "/disk"}).Status)
	require.Empty(t, s.contents(), "the probe is gone")
	refused := probe(domain.StorageConfig{Path: "/other", Password: "hunter2hunter2"})
	require.Equal(t, domain.HealthAuthFailed, refused.Status)
	require.NotContains(t, refused.Message, "hunter2")
	unknown := probe(domain.StorageConfig{HostKey: "unknown"})
	require.Equal(t, []string{"ssh-ed25519 AAAA", "SHA256:x"}, []string{unknown.HostKey, unknown.HostKeyFingerprint})
	_, err := do(s, contract.ProbeStorageDraft, contract.StorageDraftInput{ID: "draft-1", Sealed: "dgs1:00:x"})
	require.Error(t, err)
}

func TestAnObjectOfABackupIsNotReachedThroughALink(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	disk, err := local.Open(t.Context(), local.Options{Root: dir + "/disk"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = disk.Close() })
	s.store = faulty.New(unclosed{disk})
	s.stores["/disk"] = s.store
	s.source.fill(6, 2*mib)
	e := s.good(domain.Full)
	chunk := s.requireGood(e).ObjectKey(0)
	s.put("/disk", "mine/file", "x")
	require.NoError(t, os.Symlink(path.Dir(path.Dir(chunk)), dir+"/disk/alias"))
	alias := "alias/" + strings.TrimPrefix(chunk, path.Dir(path.Dir(chunk))+"/")
	before := s.contents()
	require.Contains(t, s.deletes(s.job.StorageLocationID, alias).Refusal.Message, "symbolic link")
	require.NotNil(t, s.deletes(s.job.StorageLocationID, path.Dir(alias)).Refusal)
	changed, err := do(s, contract.CopyObject, contract.CopyFileInput{StorageLocationID: s.job.StorageLocationID, From: "mine/file", To: alias, Overwrite: true})
	require.NoError(t, err)
	require.Contains(t, changed.Refusal.Message, "symbolic link")
	require.Equal(t, before, s.contents())
	require.Nil(t, s.deletes(s.job.StorageLocationID, "mine/file").Refusal)
	s.requireGood(e)
}

// unclosed outlives the activities.
type unclosed struct{ storage.Store }

func (unclosed) Close() error            { return nil }
func (u unclosed) Unwrap() storage.Store { return u.Store }
