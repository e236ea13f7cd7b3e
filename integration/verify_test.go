package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	temporal "go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
	"github.com/dataguardian/dataguardian/worker"
)

// verify checks a backup through the API and waits for the end.
func verify(t *testing.T, backup client.Execution, mode domain.VerifyMode) client.VerificationState {
	t.Helper()
	_, err := shared.owner.Verify(t.Context(), backup.ID, mode)
	require.NoError(t, err)
	state, err := shared.owner.WaitVerification(t.Context(), backup.ID)
	require.NoError(t, err)
	require.Equal(t, "ended", state.State, state.Error)
	require.NotNil(t, state.Verification)
	return state
}

// key is the object key of a file of the storage location.
func (s *setup) key(t *testing.T, path string) string {
	t.Helper()
	key, err := filepath.Rel(s.storagePath, path)
	require.NoError(t, err)
	return key
}

func edit(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, how(content), 0o600))
}

// spoil damages five objects in four ways and returns their keys.
func (s *setup) spoil(t *testing.T) []string {
	t.Helper()
	chunks := s.chunks(t)
	require.GreaterOrEqual(t, len(chunks), 8)
	edit(t, chunks[0], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	edit(t, chunks[2], func(b []byte) []byte { return b[:len(b)-1] })
	require.NoError(t, os.Rename(chunks[3], chunks[3]+".x"))
	require.NoError(t, os.Rename(chunks[5], chunks[3]))
	require.NoError(t, os.Rename(chunks[3]+".x", chunks[5]))
	require.NoError(t, os.Remove(chunks[6]))
	var keys []string
	for _, i := range []int{0, 2, 3, 5, 6} {
		keys = append(keys, s.key(t, chunks[i]))
	}
	return keys
}

func (s *setup) damage(t *testing.T, healed bool) map[string]client.DamagedObject {
	t.Helper()
	objects, err := shared.owner.Damage(t.Context(), s.storage.ID, healed)
	require.NoError(t, err)
	found := map[string]client.DamagedObject{}
	for _, o := range objects {
		found[o.Key] = o
	}
	return found
}

// alerts are the notifications about the storage location: severity and message.
func (s *setup) alerts(t *testing.T) []string {
	t.Helper()
	var alerts []string
	err := shared.admin(t, "dataguardian").QueryRow(t.Context(), `select coalesce(array_agg(severity || ' ' || type || ': ' || title || '. ' || message
		order by created_at, id), '{}') from notifications where entity_id = $1`, s.storage.ID).Scan(&alerts)
	require.NoError(t, err)
	return alerts
}

// replicate makes a copy of the storage location as another one that the catalogue knows.
func (s *setup) replicate(t *testing.T, pool string, backups ...client.Execution) client.StorageLocation {
	t.Helper()
	path := filepath.Join(t.TempDir(), "replica")
	require.NoError(t, os.CopyFS(path, os.DirFS(s.storagePath)))
	location, err := shared.owner.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: s.database + " replica " + pool, Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: path},
	})
	require.NoError(t, err)
	for _, b := range backups {
		require.NoError(t, shared.db.PutReplica(t.Context(), db.Replica{
			ExecutionID: b.ID, StorageLocationID: location.ID, ManifestPath: b.Metadata.ManifestPath,
		}))
	}
	return location
}

func TestAVerificationNamesEveryDamagedObjectAndTellsOnce(t *testing.T) {
	s := newSetup(t, withNoise(12))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.True(t, verify(t, backup, domain.VerifyFull).Verification.OK)
	require.Empty(t, s.alerts(t))
	keys := s.spoil(t)

	for range 2 {
		state := verify(t, backup, domain.VerifyFull)
		require.False(t, state.Verification.OK)
		require.Equal(t, int64(5), state.Verification.Damaged)
		found := s.damage(t, false)
		require.Len(t, found, 5)
		for _, key := range keys {
			require.Contains(t, found, key)
			require.Contains(t, state.Verification.Message, key)
			require.Len(t, found[key].NeededBy, 1)
			require.Equal(t, backup.ID, found[key].NeededBy[0].ExecutionID)
			require.Equal(t, s.job.Name, found[key].NeededBy[0].JobName)
		}
		require.Equal(t, "it is missing", found[keys[4]].Reason)
		require.Contains(t, found[keys[0]].Reason, "SHA-256")
	}
	alerts := s.alerts(t)
	require.Len(t, alerts, 1, "the same damage is told once")
	require.Contains(t, alerts[0], "critical backup_failed")
	require.Contains(t, alerts[0], backup.ID)
	require.Contains(t, alerts[0], s.storageName)
	require.Contains(t, alerts[0], keys[0])
	require.Contains(t, alerts[0], "no other storage location has a copy")

	quick := verify(t, backup, domain.VerifyQuick)
	require.False(t, quick.Verification.OK, "what a listing does not show is damaged all the same")
	refused := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, "Corrupt", refused.Metadata.FailureClass)
	require.Zero(t, s.attempts(t, refused, "StageRestore"), "the restore began to load")
}

func TestAnEditedManifestIsFoundAndHealed(t *testing.T) {
	s := newSetup(t, withRows(500))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	manifest := filepath.Join(s.storagePath, backup.Metadata.ManifestPath)
	good, err := os.ReadFile(manifest)
	require.NoError(t, err)
	edit(t, manifest, func(b []byte) []byte { return []byte(strings.Replace(string(b), s.datasourceName, "another name", 1)) })

	state := verify(t, backup, domain.VerifyQuick)
	require.False(t, state.Verification.OK)
	require.Contains(t, state.Verification.Message, "manifest")
	found := s.damage(t, false)
	require.Len(t, found, 1)
	require.Len(t, found[backup.Metadata.ManifestPath].NeededBy, 1)
	refused := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, "Corrupt", refused.Metadata.FailureClass)
	require.False(t, shared.hasDatabase(t, s.database+"_copy"))

	replica := s.replicate(t, domain.DefaultPool, backup)
	copied := filepath.Join(replica.Config.Path, backup.Metadata.ManifestPath)
	require.False(t, verify(t, backup, domain.VerifyFull).Verification.OK, "the copy is damaged too")
	require.NoError(t, os.WriteFile(copied, good, 0o600))
	require.True(t, verify(t, backup, domain.VerifyFull).Verification.OK)
	healed, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.Equal(t, good, healed)
	require.Len(t, s.alerts(t), 2, "the alert, and that it is over")
}

func TestDamageIsHealedFromAReplica(t *testing.T) {
	s := newSetup(t, withNoise(12), withRows(500))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	s.replicate(t, domain.DefaultPool, backup)
	keys := s.spoil(t)
	require.NoError(t, os.Remove(filepath.Join(s.storagePath, backup.Metadata.ManifestPath)))

	state := verify(t, backup, domain.VerifyFull)
	require.True(t, state.Verification.OK, state.Verification.Message)
	require.Empty(t, s.damage(t, false))
	healed := s.damage(t, true)
	require.Len(t, healed, len(keys)+1)
	for _, object := range healed {
		require.NotNil(t, object.HealedAt)
	}
	alerts := s.alerts(t)
	require.Len(t, alerts, 1)
	require.Contains(t, alerts[0], "warning health_degraded")

	restored := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, s.database+"_copy")
}

func TestACopyThatNoWorkerOfThePoolReachesIsNamed(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	s.replicate(t, "far-away", backup)
	edit(t, s.chunks(t)[0], func(b []byte) []byte { return nil })
	require.False(t, verify(t, backup, domain.VerifyFull).Verification.OK)
	require.Contains(t, s.alerts(t)[0], "pool far-away")
}

func TestOnlyOneVerificationOfABackupRuns(t *testing.T) {
	const pool = "nobody-verifies"
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	_, err := shared.admin(t, "dataguardian").Exec(t.Context(), "update storage_locations set pool = $2 where id = $1", s.storage.ID, pool)
	require.NoError(t, err)
	state, err := shared.owner.Verify(t.Context(), backup.ID, domain.VerifyFull)
	require.NoError(t, err)
	require.Equal(t, "running", state.State)
	_, err = shared.owner.Verify(t.Context(), backup.ID, domain.VerifyQuick)
	require.Equal(t, 409, client.Status(err))
	require.NoError(t, shared.dialled.TerminateWorkflow(t.Context(), state.WorkflowID, "", "by hand"))
	ended, err := shared.owner.WaitVerification(t.Context(), backup.ID)
	require.NoError(t, err)
	require.Equal(t, "failed", ended.State)
}

func TestADiskThatIsNotMountedIsNotDamaged(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.NoError(t, os.Rename(s.storagePath, s.storagePath+"-unmounted"))
	_, err := shared.owner.Verify(t.Context(), backup.ID, domain.VerifyFull)
	require.NoError(t, err)
	state, err := shared.owner.WaitVerification(t.Context(), backup.ID)
	require.NoError(t, err)
	require.Equal(t, "failed", state.State)
	require.Contains(t, state.Error, s.storageName)
	require.True(t, state.Verification.OK, "what was verified stays so")
	require.Empty(t, s.damage(t, true))
	row, err := shared.owner.GetExecution(t.Context(), backup.ID)
	require.NoError(t, err)
	require.Contains(t, row.Metadata.ExecutionLogs[len(row.Metadata.ExecutionLogs)-1].Message, "the verification could not be made")
}

// scrub runs the scrub of the test's storage location once.
func (s *setup) scrub(t *testing.T) (contract.ScrubResult, *historypb.History) {
	t.Helper()
	id := "test-scrub-" + uuid.NewString()
	result, err := contract.ScrubStorage.Run(t.Context(), shared.dialled, temporal.StartWorkflowOptions{
		ID: id, TaskQueue: contract.TaskQueue(s.pool),
	}, contract.ScrubInput{StorageLocationID: s.storage.ID})
	require.NoError(t, err)
	return result, historyOf(t, id)
}

func TestTheScrubFindsRotInTheOldestBackupAndHealsIt(t *testing.T) {
	s := newSetup(t, withNoise(12), withOptions(domain.BackupOptions{Verify: domain.VerifyQuick}))
	var backups []client.Execution
	for range 3 {
		b := s.backUp(t)
		require.Equal(t, domain.Completed, b.Status, b.ErrorMessage)
		backups = append(backups, b)
	}
	readAt := func(b client.Execution) (read bool) {
		err := shared.admin(t, "dataguardian").QueryRow(t.Context(), "select verified_at is not null from backup_executions where id = $1", b.ID).Scan(&read)
		require.NoError(t, err)
		return read
	}
	first, _ := s.scrub(t)
	require.Equal(t, int64(1), first.Backups, "one is more than a day's part of a quarter")
	require.Positive(t, first.Bytes)
	require.True(t, readAt(backups[0]), "the oldest")
	require.False(t, readAt(backups[1]))
	again, _ := s.scrub(t)
	require.Zero(t, again.Backups, "a third of everything is more than a quarter a week")

	s.replicate(t, domain.DefaultPool, backups...)
	_, err := shared.admin(t, "dataguardian").Exec(t.Context(),
		"update scrub_runs set started_at = started_at - interval '8 days' where storage_location_id = $1", s.storage.ID)
	require.NoError(t, err)
	var rotten string
	require.NoError(t, filepath.WalkDir(s.storagePath, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "/chunks/"+domain.ID8(backups[1].ID)+"/") {
			rotten = path
		}
		return err
	}))
	edit(t, rotten, func(b []byte) []byte { b[0] ^= 128; return b })
	second, _ := s.scrub(t)
	require.Equal(t, int64(1), second.Damaged)
	require.True(t, readAt(backups[1]))
	require.False(t, readAt(backups[2]))
	require.Empty(t, s.damage(t, false), "it was healed")
	require.Len(t, s.alerts(t), 1)
	require.True(t, verify(t, backups[1], domain.VerifyFull).Verification.OK)
}

func TestEveryStorageLocationIsScrubbedOnASchedule(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	schedules := reconcile.NewSchedules(shared.db, shared.dialled)
	require.NoError(t, schedules.Ensure(t.Context()))
	handle := shared.dialled.ScheduleClient().GetHandle(t.Context(), contract.ScrubWorkflowID(s.storage.ID))
	require.NoError(t, handle.Trigger(t.Context(), temporal.ScheduleTriggerOptions{}))
	require.Eventually(t, func() bool {
		var finished bool
		err := shared.admin(t, "dataguardian").QueryRow(t.Context(),
			"select count(*) > 0 from scrub_runs where storage_location_id = $1 and finished_at is not null and backups = 1", s.storage.ID).Scan(&finished)
		return err == nil && finished
	}, patience, 200*time.Millisecond)

	require.NoError(t, shared.owner.BackupJobs.Delete(t.Context(), s.job.ID))
	s.remove(t, backup)
	require.NoError(t, shared.owner.StorageLocations.Delete(t.Context(), s.storage.ID))
	require.NoError(t, schedules.Ensure(t.Context()))
	_, err := handle.Describe(t.Context())
	require.Error(t, err, "the schedule goes with its location")
}

func TestHistoriesOfVerificationsReplay(t *testing.T) {
	s := newSetup(t, withNoise(12))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	id := contract.VerifyWorkflowID(backup.ID)
	verify(t, backup, domain.VerifyFull)
	runs := map[string]*historypb.History{"verify-completed": historyOf(t, id)}
	replica := s.replicate(t, domain.DefaultPool, backup)
	s.spoil(t)
	require.True(t, verify(t, backup, domain.VerifyFull).Verification.OK)
	runs["verify-healed"] = historyOf(t, id)
	require.NoError(t, os.RemoveAll(replica.Config.Path))
	s.spoil(t)
	require.False(t, verify(t, backup, domain.VerifyQuick).Verification.OK)
	runs["verify-damaged"] = historyOf(t, id)
	_, err := shared.admin(t, "dataguardian").Exec(t.Context(), "update backup_executions set verified_at = null where id = $1", backup.ID)
	require.NoError(t, err)
	_, runs["scrub-damaged"] = s.scrub(t)
	require.NoError(t, os.Rename(s.storagePath, s.storagePath+"-unmounted"))
	_, err = shared.owner.Verify(t.Context(), backup.ID, domain.VerifyFull)
	require.NoError(t, err)
	_, err = shared.owner.WaitVerification(t.Context(), backup.ID)
	require.NoError(t, err)
	runs["verify-failed"] = historyOf(t, id)
	for name, run := range runs {
		replayer := sdk.NewWorkflowReplayer()
		worker.RegisterWorkflows(replayer)
		require.NoError(t, replayer.ReplayWorkflowHistory(nil, run), name)
		if *record {
			s.keep(t, name, run)
		}
	}
}

// usedBy finds the first of some chunks that a backup refers to.
func (s *setup) usedBy(t *testing.T, chunks []string, e client.Execution) string {
	t.Helper()
	rows, err := shared.owner.Chunks(t.Context(), e.ID)
	require.NoError(t, err)
	used := map[string]bool{}
	for _, row := range rows {
		used[row.ID] = true
	}
	for _, path := range chunks {
		if id, _, _ := strings.Cut(filepath.Base(path), "."); used[id] {
			return path
		}
	}
	require.Fail(t, "the backup shares no chunk")
	return ""
}

func TestDamageOfASharedChunkNamesTheFullAndItsIncrement(t *testing.T) {
	s := newSetup(t, withNoise(12), incremental())
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	of := s.chunks(t)
	s.exec(t, s.database, "create table more as select n from generate_series(1, 1000) n")
	increment := s.backUpAs(t, domain.Incremental)
	shared0 := s.usedBy(t, of, increment)
	edit(t, shared0, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })

	require.False(t, verify(t, full, domain.VerifyFull).Verification.OK)
	damaged := s.damage(t, false)[s.key(t, shared0)]
	require.Len(t, damaged.NeededBy, 2)
	require.Equal(t, full.ID, damaged.NeededBy[0].ExecutionID)
	require.Equal(t, increment.ID, damaged.NeededBy[1].ExecutionID)
	row, err := shared.owner.GetExecution(t.Context(), increment.ID)
	require.NoError(t, err)
	require.False(t, row.Metadata.Verification.OK, "the increment needs it too")
	next := s.backUp(t)
	require.Equal(t, domain.Full, next.BackupType, "nothing builds on damage")

	s.replicate(t, domain.DefaultPool, full, increment)
	again := verify(t, increment, domain.VerifyFull)
	require.False(t, again.Verification.OK, "the copy was made of what was damaged")
	edit(t, shared0, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	require.True(t, verify(t, increment, domain.VerifyFull).Verification.OK)
	row, err = shared.owner.GetExecution(t.Context(), full.ID)
	require.NoError(t, err)
	require.True(t, row.Metadata.Verification.OK, "what was put back by hand is whole for both")
}

func TestAScrubReadsWhatBackupsShareOnce(t *testing.T) {
	s := newSetup(t, withNoise(12), incremental())
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	s.backUpAs(t, domain.Incremental)
	_, err := shared.admin(t, "dataguardian").Exec(t.Context(), "update backup_executions set verified_at = null where storage_location_id = $1", s.storage.ID)
	require.NoError(t, err)
	result, _ := s.scrub(t)
	require.Equal(t, int64(2), result.Backups)
	var stored int64
	for _, path := range s.chunks(t) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		stored += info.Size()
	}
	require.Equal(t, stored, result.Bytes, "each object once")
	require.Equal(t, int64(len(s.chunks(t))), result.Objects)
}

func TestAKilledHealingGoesOnOnAnotherWorker(t *testing.T) {
	const pool = "healing"
	s := newSetup(t, withNoise(12), withPool(pool))
	first := shared.spawnWorker(t, pool, "heal.object_written")
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	s.replicate(t, pool, backup)
	s.spoil(t)
	_, err := shared.owner.Verify(t.Context(), backup.ID, domain.VerifyFull)
	require.NoError(t, err)
	first.died(t)
	shared.spawnWorker(t, pool)
	state, err := shared.owner.WaitVerification(t.Context(), backup.ID)
	require.NoError(t, err)
	require.Equal(t, "ended", state.State, state.Error)
	require.True(t, state.Verification.OK, state.Verification.Message)
	require.Empty(t, s.damage(t, false))
	require.Len(t, s.alerts(t), 1)
}
