package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// second makes another storage location at a path and a target of the test's job.
func (s *setup) second(t *testing.T, strategy domain.StorageStrategy, path string) client.StorageLocation {
	t.Helper()
	return s.secondAt(t, strategy, disk(path))
}

func (s *setup) secondAt(t *testing.T, strategy domain.StorageStrategy, at place) client.StorageLocation {
	t.Helper()
	location := at.register(t, s.database+" second", s.pool)
	var err error
	s.job, err = shared.owner.BackupJobs.Update(t.Context(), s.job.ID, map[string]any{"backup_options": map[string]any{
		"storage_strategy": strategy, "storage_targets": []any{map[string]any{"storage_location_id": location.ID}},
	}})
	require.NoError(t, err)
	return location
}

// results are what became of a backup on each location: "completed", "failed: StorageFull".
func (s *setup) results(e client.Execution) map[string]string {
	results := map[string]string{}
	for _, r := range e.Metadata.StorageResults {
		results[r.StorageLocationID] = strings.TrimSuffix(string(r.Status)+": "+r.FailureClass, ": ")
	}
	return results
}

// wipe removes what is in a directory but for hidden files, as somebody does by hand with rm -rf *.
func wipe(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		require.NoError(t, os.RemoveAll(filepath.Join(path, entry.Name())))
	}
}

func files(t *testing.T, path string) map[string]time.Time {
	t.Helper()
	found := map[string]time.Time{}
	require.NoError(t, filepath.WalkDir(path, func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			found[strings.TrimPrefix(at, path)] = info.ModTime()
		}
		return err
	}))
	return found
}

func TestAReplicatedBackupOutlivesEitherStorage(t *testing.T) {
	for _, kinds := range [][2]domain.StorageLocationType{
		{domain.StorageLocal, domain.StorageLocal},
		{domain.StorageLocal, domain.StorageS3},
		{domain.StorageMinIO, domain.StorageSSH},
		{domain.StorageSSH, domain.StorageBackblaze},
	} {
		t.Run(fmt.Sprintf("%s and %s", kinds[0], kinds[1]), func(t *testing.T) {
			testEitherStorage(t, newPlace(t, kinds[0]), newPlace(t, kinds[1]))
		})
	}
}

func testEitherStorage(t *testing.T, here, there place) {
	t.Helper()
	s := newSetup(t, withNoise(12), withRows(500), withStorage(here))
	second := s.secondAt(t, domain.StrategyReplicate, there)
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.Equal(t, map[string]string{s.storage.ID: "completed", second.ID: "completed"}, s.results(backup))
	require.Empty(t, backup.Metadata.Warnings)
	before := files(t, s.storagePath)

	wipe(t, s.storagePath)
	restored := s.restore(t, backup, restoreTo(s.database+"_one"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	require.Equal(t, second.ID, *restored.StorageLocationID, "the execution says which copy was read")
	s.requireSame(t, s.database, s.database+"_one")
	logs, err := shared.owner.Logs(t.Context(), restored.ID)
	require.NoError(t, err)
	var warned bool
	for _, line := range logs {
		warned = warned || line.Level == "warning" && strings.Contains(line.Message, s.storageName) && strings.Contains(line.Message, "trying the copy on")
	}
	require.True(t, warned, "%v", logs)
	refused := s.restore(t, backup, restoreTo(s.database+"_no"), func(r *client.RestoreRequest) { r.StorageLocationID = s.storage.ID })
	require.Equal(t, domain.Failed, refused.Status, "the copy that was asked for, and no other")

	state := verify(t, backup, domain.VerifyFull)
	require.True(t, state.Verification.OK, state.Verification.Message)
	after := files(t, s.storagePath)
	require.Len(t, after, len(before))
	for path := range before {
		require.Contains(t, after, path)
	}
	wipe(t, there.dir)
	restored = s.restore(t, backup, restoreTo(s.database+"_two"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	require.Equal(t, s.storage.ID, *restored.StorageLocationID)
	s.requireSame(t, s.database, s.database+"_two")
}

func TestADiskThatIsNotMountedIsNotTakenForAWipedOne(t *testing.T) {
	s := newSetup(t, withRows(200))
	disk := filepath.Join(t.TempDir(), "second")
	second := s.second(t, domain.StrategyReplicate, disk)
	requireCompleted(t, s.backUp(t))
	require.NoError(t, os.Rename(s.storagePath, s.storagePath+"-elsewhere"))
	require.NoError(t, os.Mkdir(s.storagePath, 0o700)) // the bare mount point

	moved := s.backUp(t)
	require.Equal(t, domain.Completed, moved.Status, moved.ErrorMessage)
	require.Equal(t, second.ID, *moved.StorageLocationID)
	require.Equal(t, map[string]string{s.storage.ID: "failed: ConfigInvalid", second.ID: "completed"}, s.results(moved))
	require.Empty(t, files(t, s.storagePath), "nothing is written below a mount point")

	require.NoError(t, os.Remove(s.storagePath))
	require.NoError(t, os.Rename(s.storagePath+"-elsewhere", s.storagePath))
	filled := s.retryUpload(t, moved)
	require.Equal(t, map[string]string{s.storage.ID: "completed", second.ID: "completed"}, s.results(filled))
	wipe(t, disk)
	restored := s.restore(t, filled, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, s.database+"_copy")
}

// retryUpload copies a backup to where it lacks, and waits for the end.
func (s *setup) retryUpload(t *testing.T, backup client.Execution) client.Execution {
	t.Helper()
	started, err := shared.owner.RetryUpload(t.Context(), backup.ID)
	require.NoError(t, err)
	for _, r := range started.Metadata.StorageResults {
		if id := contract.ReplicateWorkflowID(backup.ID, r.StorageLocationID); r.Status == domain.TargetPending {
			_ = shared.dialled.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil)
		}
	}
	ended, err := shared.owner.GetExecution(t.Context(), backup.ID)
	require.NoError(t, err)
	return ended
}

func TestABackupFallsBackWhenTheDiskIsFull(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(disk, 0o700))
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a small file system: %v", err)
		}
		t.Skipf("this machine does not let this user mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(disk, unix.MNT_DETACH)) })
	s := newSetup(t, withNoise(30), withStorageAt(filepath.Join(disk, "backups")))
	second := s.second(t, domain.StrategyFallback, filepath.Join(t.TempDir(), "second"))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.Equal(t, second.ID, *backup.StorageLocationID)
	require.Equal(t, map[string]string{s.storage.ID: "failed: StorageFull", second.ID: "completed"}, s.results(backup))
	require.Contains(t, backup.Metadata.Warnings[len(backup.Metadata.Warnings)-1], s.storageName)
	require.Empty(t, s.objects(t), "what the full disk got is removed")
	restored := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, s.database+"_copy")
}

func TestAFailureOfTheDatabaseDoesNotFallBack(t *testing.T) {
	s := newSetup(t, withRows(100), withPort(closedPort(t)))
	disk := filepath.Join(t.TempDir(), "second")
	s.second(t, domain.StrategyFallback, disk)
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Contains(t, failed.ErrorMessage, s.datasourceName)
	require.Empty(t, failed.Metadata.StorageResults)
	require.NoDirExists(t, disk)
}

func TestABackupThatNoStorageTakesNamesEach(t *testing.T) {
	s := newSetup(t, withRows(100))
	missing := filepath.Join(t.TempDir(), "nothing", "second")
	second := s.second(t, domain.StrategyFallback, missing)
	require.NoError(t, os.WriteFile(s.storagePath, nil, 0o600), "a file where the directory was")
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "ConfigInvalid", failed.Metadata.FailureClass)
	for _, said := range []string{s.storageName, s.storagePath + " is not a directory", second.Name, "the parent directory of " + missing + " does not exist"} {
		require.Contains(t, failed.ErrorMessage, said)
	}
	require.NotEmpty(t, failed.Metadata.Hint)
}

func TestAnotherWorkerGoesOnWithTheCopyingOfAKilledOne(t *testing.T) {
	const pool = "replicating"
	s := newSetup(t, withNoise(100), withPool(pool))
	disk := filepath.Join(t.TempDir(), "second")
	second := s.second(t, domain.StrategyReplicate, disk)
	first := shared.spawnWorker(t, pool, "replicate.batch_copied")
	running := s.start(t)
	first.died(t)
	sent := files(t, disk)
	require.Greater(t, len(sent), 20)
	require.NotContains(t, sent, "/"+running.Metadata.ManifestPath)

	shared.spawnWorker(t, pool)
	backup := wait(t, running)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.Equal(t, map[string]string{s.storage.ID: "completed", second.ID: "completed"}, s.results(backup))
	after := files(t, disk)
	require.Greater(t, len(after), len(sent)+20)
	for path, at := range sent {
		require.Equal(t, at, after[path], "%s was sent twice", path)
	}
	require.Len(t, after, len(files(t, s.storagePath)))
}
