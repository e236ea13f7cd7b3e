package activities_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
)

func TestABackupGoesToTheNextLocationForWhateverIsWrongWithTheFirst(t *testing.T) {
	for name, fault := range map[string]faulty.Fault{
		"it is full":                    {Op: faulty.Put, Key: "/chunks/", From: 3, Err: storage.FullError("put object", "x", "no space")},
		"it can not be reached":         {Op: faulty.Put, Key: "/chunks/", Err: failure.New(failure.Unreachable, "put object", "no route to host", "")},
		"it refuses the credentials":    {Op: faulty.Get, Key: "dataguardian.json", Err: failure.New(failure.AuthFailed, "get object", "denied", "")},
		"it does not take the manifest": {Op: faulty.Put, Key: "manifest.json", Err: failure.New(failure.AuthFailed, "put object", "denied", "")},
		"it rots at once":               {Op: faulty.Get, Key: "/chunks/", Damage: true, Flip: 100},
		"nothing can be made durable":   {Op: faulty.Sync, Err: failure.New(failure.Unknown, "sync storage", "I/O error", "")},
	} {
		t.Run(name, func(t *testing.T) {
			s, second, options := twoPlaces(t, domain.StrategyFallback)
			s.source.fill(1, 12*mib)
			s.store.Inject(fault)
			e := s.backup(options(domain.Full))
			require.Equal(t, second, *e.StorageLocationID, logged(e))
			s.requireGood(e)
			require.Equal(t, []string{"/disk failed", "/second completed"}, results(e))
			require.Contains(t, e.Metadata.StorageResults[0].Error, `storage location "/disk"`)
			require.Contains(t, e.Metadata.Warnings[len(e.Metadata.Warnings)-1], `the backup went to storage location "/second", because: `)
			require.Contains(t, logged(e), `warning: the backup went to`)
			s.store.Clear()
			s.requireNothingElse()
			s.requireNothingElseIn(s.stores["/second"], e)
			require.Empty(t, mustReplicas(t, s, e))
		})
	}
}

func mustReplicas(t *testing.T, s *site, e db.Execution) []db.Replica {
	t.Helper()
	replicas, err := s.d.ListReplicas(t.Context(), e.ID)
	require.NoError(t, err)
	return replicas
}

func TestAFailureOfTheDumpToolDoesNotFallBack(t *testing.T) {
	s, _, options := twoPlaces(t, domain.StrategyFallback)
	s.source.fill(1, mib/4) // an unreachable source is tried for hours, of the test's clock, and each try reads this
	for _, class := range []failure.Class{failure.StorageFull, failure.Unreachable, failure.AuthFailed} {
		s.source.refused = class
		e := s.backup(options(domain.Full))
		require.Equal(t, domain.Failed, e.Status)
		require.Equal(t, s.job.StorageLocationID, *e.StorageLocationID)
		require.Contains(t, e.ErrorMessage, `datasource "orders"`)
		require.Empty(t, e.Metadata.StorageResults)
	}
	require.Empty(t, s.contentsOf(s.stores["/second"]))
}

func TestAnIncrementWhoseParentIsElsewhereBecomesAFull(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyFallback)
	s.source.fill(1, 12*mib)
	full := s.backup(options(domain.Incremental))
	require.Equal(t, []string{"/disk completed"}, results(full))
	s.store.Inject(faulty.Fault{Op: faulty.Put, Key: "/chunks/", Err: storage.FullError("put object", "x", "no space")})
	s.source.change("a row was changed")
	moved := s.backup(options(domain.Incremental))
	require.Equal(t, second, *moved.StorageLocationID, logged(moved))
	require.Equal(t, domain.Full, moved.BackupType)
	require.Nil(t, moved.ParentExecutionID)
	require.Contains(t, moved.Metadata.FullReason, "another storage location")
	s.requireGood(moved)
	s.source.change("another row")
	built := s.backup(options(domain.Incremental))
	require.Equal(t, second, *built.StorageLocationID)
	require.Equal(t, moved.ID, *built.ParentExecutionID, "there it is built on")
	s.requireGood(built)

	s.store.Clear()
	s.source.change("a third row")
	back := s.backup(options(domain.Incremental))
	require.Equal(t, full.ID, *back.ParentExecutionID)
	s.requireGood(back)
	s.requireNothingElse(full, back)
	s.requireNothingElseIn(s.stores["/second"], moved, built)
}

// An attempt that was cut off on the first location wakes up when the backup is on the second.
func TestAnAttemptOnAnotherLocationCanNotCommitAnyMore(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyFallback)
	s.source.fill(1, 3*mib)
	e := s.queue(s.job, options(domain.Full))
	require.NoError(t, s.d.ClaimDump(t.Context(), e.ID, 1))
	require.NoError(t, s.d.MoveBackup(t.Context(), e.ID, second, 5))
	require.ErrorIs(t, s.d.HoldsDump(t.Context(), e.ID, 1), db.ErrSuperseded)
	require.ErrorIs(t, s.d.ClaimDump(t.Context(), e.ID, 2), db.ErrSuperseded)
	require.NoError(t, s.d.ClaimDump(t.Context(), e.ID, 6))
	require.ErrorIs(t, s.d.MoveBackup(t.Context(), e.ID, second, 5), db.ErrSuperseded, "a late repetition")
}

// A worker dies when it has recorded the move to the second location, and has not said so: it is done again.
func TestAMoveIsDoneAgainAfterItsWorkerDied(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyFallback)
	s.source.fill(1, 3*mib)
	s.store.Inject(faulty.Fault{Op: faulty.Put, Key: "/chunks/", Err: storage.FullError("put object", "x", "no space")})
	s.dies["move.recorded"] = 1
	e := s.backup(options(domain.Full))
	require.Equal(t, 2, s.seen["move.recorded"], "the worker did not die there")
	require.Equal(t, second, *e.StorageLocationID, logged(e))
	require.Equal(t, []string{"/disk failed", "/second completed"}, results(e))
	s.requireGood(e)
	s.requireNothingElseIn(s.stores["/second"], e)
}

func TestABackupThatNoLocationTakesNamesThem(t *testing.T) {
	s, _, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 3*mib)
	s.store.Inject(faulty.Fault{Op: faulty.Put, Key: "/chunks/", Err: storage.FullError("put object", "x", "no space")})
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Put, Key: "/chunks/", Err: failure.New(failure.AuthFailed, "put object", "denied", "")})
	e := s.backup(options(domain.Full))
	require.Equal(t, domain.Failed, e.Status)
	require.Equal(t, string(failure.StorageFull), e.Metadata.FailureClass)
	require.Contains(t, e.ErrorMessage, `storage location "/disk"`)
	require.Contains(t, e.ErrorMessage, `storage location "/second"`)
	require.Contains(t, e.ErrorMessage, "denied")
	require.Equal(t, storage.FullHint, e.Metadata.Hint)
	require.Equal(t, []string{"/disk failed", "/second failed"}, results(e))
}

func TestADisabledTargetIsPassedOver(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	location, err := s.d.GetStorageLocation(t.Context(), second)
	require.NoError(t, err)
	location.Enabled = false
	_, err = s.d.UpdateStorageLocation(t.Context(), location)
	require.NoError(t, err)
	s.source.fill(1, 3*mib)
	e := s.backup(options(domain.Full))
	s.requireGood(e)
	require.Equal(t, []string{"/disk completed", "/second failed"}, results(e))
	require.Contains(t, e.Metadata.StorageResults[1].Error, "disabled")
}

func TestAWipedLocationIsFilledAgainFromItsCopies(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 12*mib)
	full := s.backup(options(domain.Incremental))
	first := s.source.content()
	s.source.change("a row was changed")
	increment := s.backup(options(domain.Incremental))
	require.Equal(t, []string{"/disk completed", "/second completed"}, results(increment), logged(increment))
	before := s.contents()
	s.disks["/disk"].wipe(t)

	for _, e := range []db.Execution{increment, full} {
		result, err := s.verify(e, s.job.StorageLocationID, domain.VerifyQuick)
		require.NoError(t, err)
		require.True(t, result.OK)
		require.Positive(t, result.Healed)
	}
	require.Equal(t, before, s.contentsWithout(before), "all came back, but the repository's date")
	s.disks["/second"].wipe(t)
	s.requireReads(full, first)
	s.requireReads(increment, s.source.content())

	result, err := s.verify(full, second, domain.VerifyFull)
	require.NoError(t, err)
	require.True(t, result.OK, "and back again")
	s.requireReadsFrom(second, full, first)
}

// contentsWithout is contents with the repository document of other contents.
func (s *site) contentsWithout(other map[string][32]byte) map[string][32]byte {
	contents := s.contents()
	contents["dataguardian.json"] = other["dataguardian.json"]
	return contents
}

// A check names a thousand damaged objects and no more.
func TestALocationThatLostMoreThanACheckListsIsFilledAtOnce(t *testing.T) {
	for name, lost := range map[string]func(key string) bool{
		"everything":                  func(string) bool { return true },
		"everything but the manifest": func(key string) bool { return !strings.HasSuffix(key, "manifest.json") },
	} {
		t.Run(name, func(t *testing.T) {
			s, second, _ := twoPlaces(t, domain.StrategyReplicate)
			e, count := s.manyObjects(2*db.MaxDamageListed+500, second)
			s.disks["/disk"].lose(t, lost)
			result, err := s.verify(e, s.job.StorageLocationID, domain.VerifyQuick)
			require.NoError(t, err)
			require.True(t, result.OK, "%+v", result)
			require.GreaterOrEqual(t, result.Healed, count)
			require.Contains(t, logged(s.again(e)), "missing objects back from")
			_, _, err = archive.CheckBytes(t.Context(), s.store, s.manifestOf(e), nil)
			require.NoError(t, err)
		})
	}
}

// manyObjects makes a completed backup of so many small objects, as with chunks of a few bytes, with a copy.
func (s *site) manyObjects(n int, second string) (db.Execution, int64) {
	s.t.Helper()
	ctx := s.t.Context()
	e := s.queue(s.job, domain.BackupOptions{})
	dir := archive.DatasourceDir("orders", s.job.DatasourceID)
	key := archive.ManifestKey(dir, e.CreatedAt, e.ID, 1)
	data := make([]byte, n*3072)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(data)
	var committed archive.CommitResult
	for _, path := range []string{"/disk", "/second"} {
		if path == "/second" { // the same objects: encryption makes other bytes of the same data
			require.NoError(s.t, s.store.List(ctx, dir, func(o storage.Object) error { return s.copyObject(o, path) }))
			require.NoError(s.t, s.copyObject(storage.Object{Key: archive.RepositoryKey}, path))
			continue
		}
		w, err := archive.NewWriter(ctx, archive.WriterOptions{
			Store: s.stores[path], DatasourceDir: dir, Generation: e.Generation, Secret: [32]byte{1},
			Params: archive.Params{Average: 2048, Min: 1024, Max: 4096}, Compression: domain.CompressionZstd,
		})
		require.NoError(s.t, err)
		require.NoError(s.t, w.WriteStream(ctx, archive.StreamMeta{Name: "main", Format: "bytes"}, bytes.NewReader(data)))
		committed, err = w.Commit(ctx, archive.Header{ExecutionID: e.ID, DatasourceID: s.job.DatasourceID, DatasourceType: domain.Postgres, BackupType: domain.Full}, key)
		require.NoError(s.t, err)
	}
	require.Greater(s.t, len(committed.Manifest.Objects), n)
	repository, err := archive.ReadRepository(ctx, s.store)
	require.NoError(s.t, err)
	for path, id := range map[string]string{"/disk": s.job.StorageLocationID, "/second": second} {
		_, err := s.d.BindRepository(ctx, id, repository.ID)
		require.NoError(s.t, err)
		require.NoError(s.t, s.d.SetVolume(ctx, id, repository.ID, path))
	}
	require.NoError(s.t, s.d.ClaimDump(ctx, e.ID, 1))
	require.NoError(s.t, s.d.SetDumpResult(ctx, e.ID, 1, db.DumpResult{ManifestPath: key, ManifestSHA256: committed.ManifestSHA256}))
	rows := make([]db.Chunk, len(committed.Manifest.Objects))
	for i, o := range committed.Manifest.Objects {
		rows[i] = db.Chunk{
			ID: o.ID, Generation: committed.Manifest.Folder(i), PlainBytes: o.PlainBytes, StoredBytes: o.StoredBytes, Checksum: o.Checksum, Uploaded: true,
		}
	}
	require.NoError(s.t, s.d.AddChunks(ctx, e.ID, rows))
	require.NoError(s.t, s.d.FinishExecution(ctx, e.ID, db.Finish{Status: domain.Completed}))
	require.NoError(s.t, s.d.PutReplica(ctx, db.Replica{ExecutionID: e.ID, StorageLocationID: second, ManifestPath: key}))
	return s.again(e), int64(len(rows))
}

func (s *site) copyObject(o storage.Object, to string) error {
	body, err := s.store.Get(context.Background(), o.Key, 0, -1)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return s.stores[to].Put(context.Background(), o.Key, bytes.NewReader(content), int64(len(content)))
}

func (s *site) manifestOf(e db.Execution) *archive.Manifest {
	s.t.Helper()
	m, err := archive.OpenManifest(s.t.Context(), s.store, e.Metadata.ManifestPath, e.Metadata.ManifestSHA256)
	require.NoError(s.t, err)
	return m
}

func TestALocationThatIsNotMountedIsNotFilled(t *testing.T) {
	s, _, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 3*mib)
	e := s.backup(options(domain.Full))
	s.disks["/disk"].wipe(t)
	for _, volume := range []string{"the bare mount point", ""} {
		s.disks["/disk"].volume = volume
		_, err := s.verify(e, s.job.StorageLocationID, domain.VerifyQuick)
		require.ErrorContains(t, err, "the repository with this location's backups is not there")
		require.Empty(t, s.contents())
		moved := s.backup(options(domain.Full))
		require.Equal(t, []string{"/disk failed", "/second completed"}, results(moved)[:2], "it goes elsewhere")
		require.Empty(t, s.contents())
	}
}

func TestABackupToAWipedLocationIsAFull(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 3*mib)
	full := s.good(domain.Incremental)
	s.disks["/disk"].wipe(t)
	again := s.good(domain.Incremental)
	require.Equal(t, domain.Full, again.BackupType)
	require.Contains(t, again.Metadata.FullReason, full.ID)
	result, err := s.verify(full, s.job.StorageLocationID, domain.VerifyQuick)
	require.NoError(t, err)
	require.Equal(t, contract.VerifyBackupResult{Objects: 1, Damaged: 1}, result, "there is no copy of the first")
	require.False(t, s.again(full).Metadata.Verification.OK)
	require.Equal(t, 1, s.notifications())
}

func TestTheVolumeIsRememberedWhereTheRepositoryIsSeen(t *testing.T) {
	s := newSite(t)
	s.disks["/disk"].volume = "" // as of a version that did not know volumes
	s.source.fill(1, 3*mib)
	e := s.good(domain.Full)
	s.disks["/disk"].volume = "disk 1"
	volume := func() string {
		location, err := s.d.GetStorageLocation(t.Context(), s.job.StorageLocationID)
		require.NoError(t, err)
		return location.Volume
	}
	require.Empty(t, volume())
	for _, moved := range []string{"disk 1", "disk 2"} {
		s.disks["/disk"].volume = moved
		_, err := s.verify(e, s.job.StorageLocationID, domain.VerifyQuick)
		require.NoError(t, err)
		require.Equal(t, moved, volume())
	}
}

func TestARestoreReadsTheBestCopyFirst(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, 3*mib)
	e := s.backup(options(domain.Full))
	order := func() (ids []string) {
		copies, err := s.d.ReadableCopies(t.Context(), e.ID, domain.DefaultPool)
		require.NoError(t, err)
		for _, c := range copies {
			ids = append(ids, c.StorageLocationID)
		}
		return ids
	}
	require.Equal(t, []string{s.job.StorageLocationID, second}, order())
	s.disks["/disk"].wipe(t)
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Get, Key: "/chunks/", Err: failure.New(failure.AuthFailed, "get object", "denied", "")})
	_, err := s.verify(e, s.job.StorageLocationID, domain.VerifyQuick)
	require.NoError(t, err)
	require.Equal(t, []string{second, s.job.StorageLocationID}, order(), "the damaged one is the last resort")
	copies, err := s.d.ReadableCopies(t.Context(), e.ID, "another-pool")
	require.NoError(t, err)
	require.Empty(t, copies)
}
