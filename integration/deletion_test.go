package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

func TestADeletedBackupIsGoneWithItsDataAndTheOthersStay(t *testing.T) {
	s := newSetup(t, withRows(2_000))
	first, second := s.backUp(t), s.backUp(t)
	_, err := shared.owner.Pin(t.Context(), first.ID, true)
	require.NoError(t, err)
	_, err = shared.owner.DeleteExecution(t.Context(), first.ID)
	require.Equal(t, http.StatusConflict, client.Status(err))
	require.ErrorContains(t, err, "pinned")
	_, err = shared.owner.Pin(t.Context(), first.ID, false)
	require.NoError(t, err)

	s.remove(t, first)
	s.requireExact(t)
	s.requireReadable(t, second)
	require.ErrorContains(t, shared.owner.StorageLocations.Delete(t.Context(), s.storage.ID), "backup job")
	s.remove(t, second)
	require.Empty(t, s.objects(t))
}

// A full, an increment of it, an increment of that, and a differential: whatever is deleted first, the
// others stay whole, and at the end nothing is left.
func TestBackupsThatShareChunksAreDeletedInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 0, 1, 3}, {0, 3, 1, 2}, {1, 2, 0, 3}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			s := newSetup(t, withNoise(8), incremental())
			backups := []client.Execution{s.backUp(t)}
			for i, kind := range []domain.BackupType{domain.Incremental, domain.Incremental, domain.Differential} {
				s.exec(t, s.database, fmt.Sprintf("update noise set body = sha256(body) || body where n = %d", 10+i*20))
				backups = append(backups, s.backUpAs(t, kind))
			}
			require.Equal(t, backups[0].ID, *backups[3].ParentExecutionID)
			for done, i := range order {
				s.remove(t, backups[i])
				s.requireExact(t)
				s.requireManifestsWhole(t)
				if done == 1 {
					s.requireReadable(t, backups[order[2]])
				}
			}
			require.Empty(t, s.objects(t))
			s.requireClean(t)
			var secrets string
			require.NoError(t, shared.admin(t, "dataguardian").QueryRow(t.Context(),
				"select count(*)::text from encryption_keys where datasource_id = $1", s.datasource.ID).Scan(&secrets))
			require.Equal(t, "0", secrets, "the chunk secret goes with the last backup of its generation")
		})
	}
}

func TestBackupsThatShareChunksAreDeletedAtTheSameTime(t *testing.T) {
	s := newSetup(t, withNoise(8), incremental())
	full := s.backUp(t)
	backups := []client.Execution{full, s.backUpAs(t, domain.Incremental), s.backUpAs(t, domain.Incremental)}
	for _, e := range backups {
		_, err := shared.owner.DeleteExecution(t.Context(), e.ID)
		require.NoError(t, err)
	}
	for _, e := range backups {
		s.awaitDeletion(t, e)
	}
	require.Empty(t, s.objects(t), "none left the shared objects to another")
}

func TestABackupIsNotDeletedWhileAnotherOneBuildsOnIt(t *testing.T) {
	s := newSetup(t, withNoise(30), incremental())
	full := s.backUp(t)
	running := s.start(t)
	dump := freezeDump(t, s.database, nil)
	_, err := shared.owner.DeleteExecution(t.Context(), full.ID)
	require.Equal(t, http.StatusConflict, client.Status(err))
	require.ErrorContains(t, err, running.ID)
	s.age(t, 48*time.Hour)
	require.Zero(t, s.reconcile(t, false).Orphans)
	require.NoError(t, syscall.Kill(dump, syscall.SIGCONT))
	increment := wait(t, running)
	require.Equal(t, domain.Completed, increment.Status, increment.ErrorMessage)
	require.Equal(t, full.ID, *increment.ParentExecutionID)
	s.remove(t, full)
	s.requireExact(t)
	s.requireReadable(t, increment)
}

func TestADeletionRemovesTheCopiesOnOtherLocationsToo(t *testing.T) {
	s := newSetup(t, withNoise(5), incremental())
	full := s.backUp(t)
	increment := s.backUpAs(t, domain.Incremental)
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(copied, os.DirFS(s.storagePath)))
	location, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: s.storageName + " copy", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: copied},
	})
	require.NoError(t, err)
	for _, e := range []client.Execution{full, increment} {
		require.NoError(t, shared.db.PutReplica(t.Context(), db.Replica{ExecutionID: e.ID, StorageLocationID: location.ID, ManifestPath: e.Metadata.ManifestPath}))
	}
	s.remove(t, full)
	s.requireExact(t)
	primary := s.storagePath
	s.storagePath = copied
	s.requireExact(t)
	s.requireManifestsWhole(t)
	s.remove(t, increment)
	require.Empty(t, s.objects(t))
	s.storagePath = primary
	require.Empty(t, s.objects(t))
}

func TestARestoreHoldsItsBackup(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	s.sql(t, "update backup_executions set status = 'running', finished_at = null, started_at = now() where id = $1", backup.ID)
	_, err := shared.owner.DeleteExecution(t.Context(), backup.ID)
	require.ErrorContains(t, err, "it is running")
	s.sql(t, "update backup_executions set status = 'completed', finished_at = now() where id = $1", backup.ID)

	restored := s.restore(t, backup, verification())
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.sql(t, "update backup_executions set status = 'running', finished_at = null where id = $1", restored.ID)
	_, err = shared.owner.DeleteExecution(t.Context(), backup.ID)
	require.ErrorContains(t, err, restored.ID)
	s.sql(t, "update backup_executions set status = 'completed', finished_at = now() where id = $1", restored.ID)
	s.remove(t, restored)
	s.requireExact(t)
	s.remove(t, backup)
	require.Empty(t, s.objects(t))
}

func TestADeletionThatCanNotReachTheStorageIsFinishedLater(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	elsewhere := s.storagePath + "-unmounted"
	require.NoError(t, os.Rename(s.storagePath, elsewhere))
	_, err := shared.owner.DeleteExecution(t.Context(), backup.ID)
	require.NoError(t, err)
	err = shared.dialled.GetWorkflow(t.Context(), contract.DeleteWorkflowID(backup.ID), "").Get(t.Context(), nil)
	require.ErrorContains(t, err, "repository", "on a disk that is not mounted nothing is there, which is not to have removed it")
	marked, err := shared.owner.GetExecution(t.Context(), backup.ID)
	require.NoError(t, err)
	require.NotNil(t, marked.DeletingAt)

	require.NoError(t, os.RemoveAll(s.storagePath))
	require.NoError(t, os.Rename(elsewhere, s.storagePath))
	report := s.reconcile(t, true)
	require.Equal(t, int64(1), report.Deletions)
	require.NotEmpty(t, s.objects(t), "a dry run removes nothing")
	report = s.reconcile(t, false)
	require.Equal(t, int64(1), report.Deletions)
	require.Zero(t, report.DeletionsFailed)
	s.requireGone(t, backup)
	require.Empty(t, s.objects(t))
}

func TestOnlyOldObjectsThatNothingNamesAreOrphans(t *testing.T) {
	s := newSetup(t, withRows(2_000))
	kept, unknown, failed := s.backUp(t), s.backUp(t), s.backUp(t)
	s.age(t, 48*time.Hour)
	s.requireClean(t)

	// A backup that the catalogue does not know, and one that was recorded as failed with its data left.
	s.sql(t, "delete from backup_executions where id = $1", unknown.ID)
	s.sql(t, "update backup_executions set status = 'failed' where id = $1", failed.ID)
	leftovers := s.filesOf(t, failed)
	source := s.chunkDirOf(t, kept) // in that of the failed one it would be one of its leftovers
	orphan := s.plant(t, filepath.Join(filepath.Dir(source), "ab"), 25*time.Hour)
	fresh := s.plant(t, filepath.Join(filepath.Dir(source), "cd"), 23*time.Hour)
	foreign := s.plant(t, filepath.Join(s.storagePath, "somebody-00000000", "chunks", "aabbccdd", "ef"), 99*time.Hour)
	notes := filepath.Join(filepath.Dir(source), "notes.txt")
	require.NoError(t, os.WriteFile(notes, []byte("mine"), 0o600))
	require.NoError(t, os.Chtimes(notes, time.Time{}, time.Now().Add(-99*time.Hour)))
	before := s.objects(t)

	dry := s.reconcile(t, true)
	require.Equal(t, before, s.objects(t), "a dry run removes nothing")
	require.Equal(t, client.Removed{Objects: 1, Bytes: 3}, dry.Orphans)
	require.Equal(t, int64(len(leftovers)), dry.Leftovers.Objects)
	require.Equal(t, int64(1), dry.UnknownBackups)
	require.Equal(t, int64(3), dry.Manifests)

	wet := s.reconcile(t, false)
	dry.DryRun = false
	require.Equal(t, dry, wet)
	removed := append([]string{orphan}, leftovers...)
	for _, path := range before {
		if contains(removed, path) {
			require.NoFileExists(t, path)
		} else {
			require.FileExists(t, path)
		}
	}
	require.FileExists(t, fresh)
	require.FileExists(t, foreign)
	require.Zero(t, s.chunkRows(t, failed), "rows of what is gone")
	s.requireReadable(t, kept)
	manifest, err := archive.OpenManifest(t.Context(), s.store(t), unknown.Metadata.ManifestPath, unknown.Metadata.ManifestSHA256)
	require.NoError(t, err)
	_, _, err = archive.CheckBytes(t.Context(), s.store(t), manifest, nil)
	require.NoError(t, err, "a backup that the catalogue does not know is whole")
}

// A catalogue that was restored from an older copy of itself knows a backup as running that has long
// been complete, and closes it because nobody runs it.
func TestACompleteBackupWhoseWorkflowIsUnknownIsKept(t *testing.T) {
	s := newSetup(t, withRows(2_000))
	lost := s.backUp(t)
	s.age(t, 48*time.Hour)
	s.sql(t, `update backup_executions set status = 'failed', metadata = metadata - 'manifest_sha256' || '{"failure_class": "WorkflowLost"}' where id = $1`, lost.ID)
	s.sql(t, "delete from backup_chunks where execution_id = $1", lost.ID)
	before := s.objects(t)
	report := s.reconcile(t, false)
	require.Equal(t, before, s.objects(t))
	require.Equal(t, int64(1), report.UnknownBackups)
	require.Zero(t, report.Leftovers.Objects)
}

func TestAManifestThatCanNotBeReadProtectsItsDatasource(t *testing.T) {
	s := newSetup(t, withRows(100))
	unknown := s.backUp(t)
	s.sql(t, "delete from backup_executions where id = $1", unknown.ID)
	require.NoError(t, os.Truncate(filepath.Join(s.storagePath, unknown.Metadata.ManifestPath), 100))
	s.age(t, 48*time.Hour)
	before := s.objects(t)
	report := s.reconcile(t, false)
	require.Equal(t, []string{unknown.Metadata.ManifestPath}, report.UnreadableManifests)
	require.Zero(t, report.Orphans)
	require.Equal(t, before, s.objects(t))

	// Without the manifest nothing names the objects any more.
	require.NoError(t, os.Remove(filepath.Join(s.storagePath, unknown.Metadata.ManifestPath)))
	require.Equal(t, int64(len(before)-1), s.reconcile(t, false).Orphans.Objects)
	require.Empty(t, s.objects(t))
}

func TestWhatARunningBackupStoresIsNoOrphanHoweverOldItIs(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	require.NoError(t, os.Remove(filepath.Join(s.storagePath, backup.Metadata.ManifestPath)))
	s.sql(t, "update backup_executions set status = 'running', finished_at = null where id = $1", backup.ID)
	s.sql(t, "delete from backup_chunks where execution_id = $1", backup.ID)
	s.age(t, 48*time.Hour)
	before := s.objects(t)
	require.Zero(t, s.reconcile(t, false).Orphans)
	require.Equal(t, before, s.objects(t))
	s.sql(t, "update backup_executions set status = 'completed', finished_at = now() where id = $1", backup.ID)
	require.Equal(t, int64(len(before)), s.reconcile(t, false).Orphans.Objects, "nothing refers to them")
}

// A worker dies the moment something has become durable, and its workflow is lost as well. What is
// left is safe: the other backup restores. The reconciliation leaves nothing behind.
func TestAKillAtAnyBoundaryOfADeletionIsReconciled(t *testing.T) {
	for _, boundary := range []string{"delete.marked", "delete.manifest_removed", "delete.batch_removed", "delete.objects_removed", "delete.rows_removed"} {
		t.Run(boundary, func(t *testing.T) {
			s, pool, kept, doomed := s2(t)
			dying := shared.spawnWorker(t, pool, boundary)
			_, err := shared.owner.DeleteExecution(t.Context(), doomed.ID)
			require.NoError(t, err)
			dying.died(t)
			require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), contract.DeleteWorkflowID(doomed.ID), "", "lost"))
			s.requireManifestsWhole(t)

			shared.spawnWorker(t, pool)
			report := s.reconcile(t, false)
			require.Zero(t, report.DeletionsFailed)
			s.requireGone(t, doomed)
			s.requireExact(t)
			s.requireReadable(t, kept)
		})
	}
}

// A sweep that dies half way is begun again, and has removed nothing that is needed.
func TestAKillAtAnyBoundaryOfAReconciliationIsReconciled(t *testing.T) {
	for _, boundary := range []string{"reconcile.manifests_removed", "reconcile.objects_removed"} {
		t.Run(boundary, func(t *testing.T) {
			s, pool, kept, failed := s2(t)
			s.sql(t, "update backup_executions set status = 'failed' where id = $1", failed.ID)
			dying := shared.spawnWorker(t, pool, boundary)
			answered := make(chan error, 1)
			go func() {
				_, err := shared.owner.ReconcileStorage(t.Context(), s.storage.ID, false)
				answered <- err
			}()
			dying.died(t)
			s.requireManifestsWhole(t)
			shared.spawnWorker(t, pool)
			require.NoError(t, <-answered, "the next worker carries it to its end")
			s.requireExact(t)
			require.Zero(t, s.chunkRows(t, failed))
			s.requireReadable(t, kept)
		})
	}
}

// The same, and Temporal gives the step to the next worker.
func TestAKilledDeletionGoesOnOnAnotherWorker(t *testing.T) {
	s, pool, kept, doomed := s2(t)
	dying := shared.spawnWorker(t, pool, "delete.batch_removed")
	_, err := shared.owner.DeleteExecution(t.Context(), doomed.ID)
	require.NoError(t, err)
	dying.died(t)
	shared.spawnWorker(t, pool)
	s.awaitDeletion(t, doomed)
	s.requireExact(t)
	s.requireReadable(t, kept)
}

// s2 is a setup with a full and an increment of it, in a pool that has no worker any more.
func s2(t *testing.T) (s *setup, pool string, kept, doomed client.Execution) {
	t.Helper()
	pool = "deleting-" + strings.ReplaceAll(strings.ToLower(filepath.Base(t.Name())), ".", "-")
	pool = strings.ReplaceAll(pool, "_", "-")
	s = newSetup(t, withNoise(8), withPool(pool), incremental())
	worker := shared.spawnWorker(t, pool)
	doomed, kept = s.backUp(t), s.backUp(t)
	require.Equal(t, domain.Completed, kept.Status, kept.ErrorMessage)
	require.Equal(t, doomed.ID, *kept.ParentExecutionID)
	require.Positive(t, kept.Metadata.ReusedChunks)
	worker.kill()
	return s, pool, kept, doomed
}

// remove deletes an execution and waits until it is gone.
func (s *setup) remove(t *testing.T, e client.Execution) {
	t.Helper()
	_, err := shared.owner.DeleteExecution(t.Context(), e.ID)
	require.NoError(t, err)
	s.awaitDeletion(t, e)
}

func (s *setup) awaitDeletion(t *testing.T, e client.Execution) {
	t.Helper()
	var result contract.DeleteResult
	require.NoError(t, shared.dialled.GetWorkflow(t.Context(), contract.DeleteWorkflowID(e.ID), "").Get(t.Context(), &result))
	s.requireGone(t, e)
}

func (s *setup) requireGone(t *testing.T, e client.Execution) {
	t.Helper()
	_, err := shared.owner.GetExecution(t.Context(), e.ID)
	require.Equal(t, http.StatusNotFound, client.Status(err))
	require.Zero(t, s.chunkRows(t, e))
}

func (s *setup) reconcile(t *testing.T, dryRun bool) client.ReconcileReport {
	t.Helper()
	report, err := shared.owner.ReconcileStorage(t.Context(), s.storage.ID, dryRun)
	require.NoError(t, err)
	return report
}

// requireClean fails when a reconciliation finds anything.
func (s *setup) requireClean(t *testing.T) {
	t.Helper()
	report := s.reconcile(t, true)
	require.Zero(t, report.Orphans)
	require.Zero(t, report.Leftovers)
	require.Zero(t, report.UnknownBackups)
	require.Empty(t, report.UnreadableManifests)
}

// requireReadable fails unless the backup reads back whole and restores.
func (s *setup) requireReadable(t *testing.T, e client.Execution) {
	t.Helper()
	restored := s.restore(t, e, verification())
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
}

// requireExact fails unless the storage holds exactly the manifests that the catalogue knows, and what
// they name.
func (s *setup) requireExact(t *testing.T) {
	t.Helper()
	var wanted []string
	executions, _, err := shared.db.ListExecutions(t.Context(), db.ExecutionFilter{
		StorageLocationID: s.storage.ID, Operation: domain.OperationBackup, Status: domain.Completed,
	}, db.Page{Limit: 200})
	require.NoError(t, err)
	named := map[string]bool{}
	for _, e := range executions {
		manifest, err := archive.OpenManifest(t.Context(), s.store(t), e.Metadata.ManifestPath, e.Metadata.ManifestSHA256)
		require.NoError(t, err)
		named[e.Metadata.ManifestPath] = true
		for i := range manifest.Objects {
			named[manifest.ObjectKey(i)] = true
		}
	}
	for key := range named {
		wanted = append(wanted, filepath.Join(s.storagePath, key))
	}
	require.ElementsMatch(t, wanted, s.objects(t))
}

// requireManifestsWhole fails when a manifest is on the storage without all that it names.
func (s *setup) requireManifestsWhole(t *testing.T) {
	t.Helper()
	for _, path := range s.objects(t) {
		if filepath.Base(path) != "manifest.json" {
			continue
		}
		key, err := filepath.Rel(s.storagePath, path)
		require.NoError(t, err)
		manifest, err := archive.OpenManifest(t.Context(), s.store(t), key, "")
		require.NoError(t, err)
		_, _, err = archive.CheckBytes(t.Context(), s.store(t), manifest, nil)
		require.NoError(t, err)
	}
}

func (s *setup) store(t *testing.T) *local.Store {
	t.Helper()
	store, err := local.Open(t.Context(), local.Options{Root: s.storagePath})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// filesOf lists the manifest and the chunks of a backup that shares nothing.
func (s *setup) filesOf(t *testing.T, e client.Execution) (files []string) {
	t.Helper()
	for _, path := range s.objects(t) {
		if strings.Contains(path, domain.ID8(e.ID)) {
			files = append(files, path)
		}
	}
	require.NotEmpty(t, files)
	return files
}

// chunkDirOf is a directory with chunks of a backup.
func (s *setup) chunkDirOf(t *testing.T, e client.Execution) string {
	t.Helper()
	for _, path := range s.filesOf(t, e) {
		if strings.Contains(path, "/chunks/") {
			return filepath.Dir(path)
		}
	}
	require.Fail(t, "the backup has no chunk")
	return ""
}

// age makes everything on the storage look that much older.
func (s *setup) age(t *testing.T, by time.Duration) {
	t.Helper()
	for _, path := range s.objects(t) {
		err := os.Chtimes(path, time.Time{}, time.Now().Add(-by))
		if !errors.Is(err, fs.ErrNotExist) { // a running backup renames what it has uploaded
			require.NoError(t, err)
		}
	}
}

// plant writes a chunk of three bytes that no backup has. The last element of dir begins its id.
func (s *setup) plant(t *testing.T, dir string, age time.Duration) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	path := filepath.Join(dir, filepath.Base(dir)+strings.Repeat("0", 62)+".zst.age")
	require.NoError(t, os.WriteFile(path, []byte("abc"), 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(-age)))
	return path
}

func (s *setup) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := shared.admin(t, "dataguardian").Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func contains(list []string, wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}
