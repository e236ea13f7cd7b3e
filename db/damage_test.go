package db_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// newCopy makes a completed backup with some chunks, and returns its copy on its own location.
func newCopy(t *testing.T, d *db.DB, j db.BackupJob, generation string, chunks []db.Chunk) db.Copy {
	t.Helper()
	backupType := domain.Full
	if generation != "" {
		backupType = domain.Incremental
	}
	e, err := d.CreateExecution(t.Context(), db.Execution{
		JobID: &j.ID, DatasourceID: &j.DatasourceID, StorageLocationID: &j.StorageLocationID, Generation: generation, BackupType: backupType,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerManual},
	})
	require.NoError(t, err)
	require.NoError(t, d.SetManifestPath(t.Context(), e.ID, "x/backups/"+e.ID+"/manifest.json"))
	for i := range chunks {
		chunks[i].Generation = e.Generation
	}
	require.NoError(t, d.AddChunks(t.Context(), e.ID, chunks))
	finish(t, d, e.ID, domain.Completed)
	c, err := d.GetCopy(t.Context(), e.ID, j.StorageLocationID)
	require.NoError(t, err)
	return c
}

func damaged(c db.Copy, chunks ...db.Chunk) []db.DamagedObject {
	var out []db.DamagedObject
	for _, chunk := range chunks {
		out = append(out, db.DamagedObject{Key: "x/chunks/" + string(rune('a'+chunk.StoredBytes)), ChunkID: &chunk.ID, Folder: c.Generation, Reason: "it is missing"})
	}
	return out
}

func outcome(ok bool, damaged int64) domain.Verification {
	return domain.Verification{Mode: domain.VerifyFull, OK: ok, Damaged: damaged, Message: "m", VerifiedAt: time.Now().UTC()}
}

func verificationOf(t *testing.T, d *db.DB, c db.Copy) *domain.Verification {
	t.Helper()
	e, err := d.GetExecution(t.Context(), c.ExecutionID)
	require.NoError(t, err)
	return e.Metadata.Verification
}

func TestDamageIsKnownOfEveryBackupThatNeedsIt(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	j := newJob(t, d, "nightly")
	chunks := numbered(0, 6)
	full := newCopy(t, d, j, "", chunks[:4])
	increment := newCopy(t, d, j, full.Generation, chunks[2:])
	other := newCopy(t, d, newJob(t, d, "other"), "", numbered(0, 6)) // the same ids in another generation

	bad := damaged(full, chunks[1], chunks[3])
	alert := db.Notification{
		Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical, EntityType: domain.EntitySystem, Title: "it turned bad",
	}
	for range 2 {
		require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: full, Verification: outcome(false, 2), Damaged: bad, Alert: &alert}))
	}
	require.Len(t, rows(t, url, "SELECT title FROM notifications WHERE title = 'it turned bad'"), 1, "it was bad already the second time")
	found, err := d.PageDamage(t.Context(), j.StorageLocationID, "", 10, false)
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, chunks[1].ID, *found[0].ChunkID)
	needs, err := d.BackupsThatNeed(t.Context(), j.StorageLocationID, []string{bad[0].Key, bad[1].Key})
	require.NoError(t, err)
	require.Len(t, needs[bad[0].Key], 1)
	require.Len(t, needs[bad[1].Key], 2)
	require.Equal(t, full.ExecutionID, needs[bad[1].Key][0].ExecutionID)
	require.Equal(t, increment.ExecutionID, needs[bad[1].Key][1].ExecutionID)
	require.Equal(t, "nightly", needs[bad[1].Key][1].JobName)
	require.False(t, verificationOf(t, d, increment).OK)
	require.Equal(t, int64(1), verificationOf(t, d, increment).Damaged)
	require.Nil(t, verificationOf(t, d, other))

	_, err = d.MarkHealed(t.Context(), j.StorageLocationID, bad[1].Key)
	require.NoError(t, err)
	require.True(t, verificationOf(t, d, increment).OK)
	require.False(t, verificationOf(t, d, full).OK, "one object of it is still damaged")
	require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: full, Verification: outcome(true, 0)}))
	found, err = d.PageDamage(t.Context(), j.StorageLocationID, "", 10, false)
	require.NoError(t, err)
	require.Empty(t, found, "a check that reads every byte clears what it does not find any more")
	found, err = d.PageDamage(t.Context(), j.StorageLocationID, "", 10, true)
	require.NoError(t, err)
	require.Len(t, found, 2)
}

func TestAQuickCheckHealsNothing(t *testing.T) {
	d := dbtest.New(t)
	j, chunks := newJob(t, d, "nightly"), numbered(0, 3)
	c := newCopy(t, d, j, "", chunks)
	require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: c, Verification: outcome(false, 1), Damaged: damaged(c, chunks[0])}))
	quick := outcome(true, 0)
	quick.Mode = domain.VerifyQuick
	require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: c, Verification: quick}))
	require.False(t, verificationOf(t, d, c).OK)
}

// A dump that the engine can not read, though its bytes are those that were stored, is not good again for a check of the bytes.
func TestOnlyTheEngineTakesBackThatADumpCanNotBeRead(t *testing.T) {
	for _, onReplica := range []bool{false, true} {
		url := dbtest.URL(t)
		d := dbtest.Open(t, url)
		j, chunks := newJob(t, d, "nightly"), numbered(0, 3)
		primary := newCopy(t, d, j, "", chunks)
		c := primary
		if onReplica {
			c.IsPrimary, c.StorageLocationID = false, newStorage(t, d, "second").ID
		}
		alert := db.Notification{Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical, EntityType: domain.EntitySystem, Title: "it can not be read"}
		requireUnreadable := func(after string) {
			t.Helper()
			v := verificationOf(t, d, primary)
			require.NotNil(t, v, after)
			require.False(t, v.OK, after)
			require.Equal(t, domain.VerifyFull, v.Mode, after)
			found, err := d.RetentionBackups(t.Context(), j.ID)
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.False(t, found[0].Good, after)
		}
		require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: c, Verification: outcome(false, 0), Alert: &alert}))
		requireUnreadable("the full check")
		for _, mode := range []domain.VerifyMode{domain.VerifyQuick, domain.VerifyChunks, domain.VerifyBytes} {
			dbtest.Execute(t, url, "UPDATE backup_executions SET verified_at = NULL")
			v := outcome(true, 0)
			v.Mode = mode
			require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: primary, Verification: v, Alert: &alert}))
			requireUnreadable(string(mode))
			require.Equal(t, map[bool]int{true: 1}[mode != domain.VerifyQuick], dbtest.Count(t, url, "SELECT count(*) FROM backup_executions WHERE verified_at IS NOT NULL"),
				"the scrub goes on to the next")
		}
		for _, mode := range []domain.VerifyMode{domain.VerifyChunks, domain.VerifyFull} {
			bad := outcome(false, 1)
			bad.Mode = mode
			require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: primary, Verification: bad, Damaged: damaged(primary, chunks[0])}))
			requireUnreadable("damage besides")
			_, err := d.MarkHealed(t.Context(), j.StorageLocationID, damaged(primary, chunks[0])[0].Key)
			require.NoError(t, err)
			requireUnreadable("the damage was healed")
		}
		require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: c, Verification: outcome(false, 0), Alert: &alert}))
		require.Len(t, rows(t, url, "SELECT title FROM notifications WHERE title = 'it can not be read'"), 1, "people know")
		require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: primary, Verification: outcome(true, 0)}))
		require.True(t, verificationOf(t, d, primary).OK)
	}
}

func TestABackupThatIsBeingDeletedHasNoDamage(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	j, chunks := newJob(t, d, "nightly"), numbered(0, 3)
	c := newCopy(t, d, j, "", chunks)
	dbtest.Execute(t, url, "UPDATE backup_executions SET deleting_at = now()")
	require.ErrorIs(t, d.RecordCheck(t.Context(), db.Check{Copy: c, Verification: outcome(false, 1), Damaged: damaged(c, chunks[0])}), db.ErrNotFound)
	found, err := d.PageDamage(t.Context(), j.StorageLocationID, "", 10, true)
	require.NoError(t, err)
	require.Empty(t, found)
	copies, err := d.ListCopies(t.Context(), c.ExecutionID)
	require.NoError(t, err)
	require.Empty(t, copies)
}

func TestDamageIsAnnouncedOnce(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	j, chunks := newJob(t, d, "nightly"), numbered(0, 3)
	c := newCopy(t, d, j, "", chunks)
	check := db.Check{Copy: c, Verification: outcome(false, 1), Damaged: damaged(c, chunks[0])}
	announced := func() (count int) {
		for range 2 {
			require.NoError(t, d.AnnounceDamage(t.Context(), j.StorageLocationID, func(_ *db.Queries, fresh []db.FreshDamage) (db.Notification, error) {
				count += len(fresh)
				return db.Notification{
					Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical,
					EntityType: domain.EntityStorageLocation, EntityID: j.StorageLocationID, Title: "damage", Message: fresh[0].Key,
				}, nil
			}))
		}
		return count
	}
	require.Zero(t, announced())
	for range 2 {
		require.NoError(t, d.RecordCheck(t.Context(), check))
	}
	require.Equal(t, 1, announced())
	require.NoError(t, d.RecordCheck(t.Context(), check))
	require.Zero(t, announced(), "the same damage again")
	told, err := d.MarkHealed(t.Context(), j.StorageLocationID, check.Damaged[0].Key)
	require.NoError(t, err)
	require.True(t, told)
	require.Zero(t, announced())
	require.NoError(t, d.RecordCheck(t.Context(), check))
	require.Equal(t, 1, announced(), "it was healed and is damaged once more")
	require.Len(t, rows(t, url, "SELECT message FROM notifications WHERE severity = 'critical'"), 2)
}

func TestTheScrubReadsTheLongestUnreadFirstAndKeepsToItsShare(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	storage := newStorage(t, d, "disk")
	var copies []db.Copy
	for _, name := range []string{"a", "b", "c", "d"} {
		j, err := d.CreateBackupJob(t.Context(), db.BackupJob{
			Name: name, DatasourceID: newDatasource(t, d, name).ID, StorageLocationID: storage.ID, Enabled: true,
		})
		require.NoError(t, err)
		copies = append(copies, newCopy(t, d, j, "", numbered(0, 1)))
	}
	dbtest.Execute(t, url, `UPDATE backup_executions SET compressed_size_bytes = 100, finished_at = now() - interval '1 hour'`)
	days := []int{3, 9, 0, 6} // since each was verified, 0: never, written an hour ago
	for i, c := range copies {
		if days[i] > 0 {
			dbtest.Execute(t, url, `UPDATE backup_executions SET verified_at = now() - make_interval(days => $2) WHERE id = $1`, c.ExecutionID, days[i])
		}
	}
	// run is one day's run: what it reads, in order.
	run := func(settings domain.ScrubSettings, without ...string) (read []string) {
		id := newScrubID(t)
		require.NoError(t, d.StartScrub(t.Context(), id, storage.ID))
		for {
			generation, err := d.NextScrub(t.Context(), id, settings, without)
			require.NoError(t, err)
			if generation == "" {
				require.NoError(t, d.FinishScrub(t.Context(), id))
				return read
			}
			read = append(read, generation)
			require.NoError(t, d.AddScrubbed(t.Context(), db.ScrubRun{ID: id, Backups: 1, Objects: 1, Bytes: 100}))
			dbtest.Execute(t, url, `UPDATE backup_executions SET verified_at = now() WHERE generation = $1`, generation)
		}
	}
	pass := func(days int) {
		dbtest.Execute(t, url, `UPDATE scrub_runs SET started_at = started_at - make_interval(days => $1)`, days)
		dbtest.Execute(t, url, `UPDATE backup_executions SET verified_at = verified_at - make_interval(days => $1), finished_at = finished_at - make_interval(days => $1)`, days)
	}
	generation := func(i int) string { return copies[i].Generation }
	half := domain.ScrubSettings{WeeklySharePercent: 50}
	require.Empty(t, run(domain.ScrubSettings{}), "0 is off")
	require.Equal(t, []string{generation(1)}, run(half), "nine days; one is more than a seventh of the share")
	pass(1)
	require.Equal(t, []string{generation(3)}, run(half))
	pass(1)
	require.Empty(t, run(half), "half of what is stored was read this week")
	pass(6)
	require.Equal(t, []string{generation(0)}, run(half))
	pass(1)
	require.Equal(t, []string{generation(2)}, run(half), "the one that was never verified")
	pass(1)
	require.Empty(t, run(half))
	pass(14)
	require.Equal(t, []string{generation(3)}, run(half, generation(1)), "the first could not be read")
	require.ErrorIs(t, d.StartScrub(t.Context(), newScrubID(t), copies[0].ExecutionID), db.ErrNotFound)
}

func TestScrubSettingsAreChecked(t *testing.T) {
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	settings, err := d.ScrubSettings(t.Context())
	require.NoError(t, err)
	require.Equal(t, domain.DefaultScrub(), settings)
	require.NoError(t, d.SetScrubSettings(t.Context(), domain.ScrubSettings{WeeklySharePercent: 0}, ""))
	settings, err = d.ScrubSettings(t.Context())
	require.NoError(t, err)
	require.Zero(t, settings.WeeklySharePercent)
	require.Error(t, d.SetScrubSettings(t.Context(), domain.ScrubSettings{WeeklySharePercent: 101}, ""))
	dbtest.Execute(t, url, `UPDATE system_settings SET value = '"much"'`)
	_, err = d.ScrubSettings(t.Context())
	require.Error(t, err)
}

func TestAReplicaIsACopyWithItsOwnDamage(t *testing.T) {
	d := dbtest.New(t)
	j, chunks := newJob(t, d, "nightly"), numbered(0, 3)
	c := newCopy(t, d, j, "", chunks)
	offsite := newStorage(t, d, "offsite")
	require.NoError(t, d.PutReplica(t.Context(), db.Replica{ExecutionID: c.ExecutionID, StorageLocationID: offsite.ID, ManifestPath: c.ManifestPath}))
	copies, err := d.ListCopies(t.Context(), c.ExecutionID)
	require.NoError(t, err)
	require.Len(t, copies, 2)
	require.True(t, copies[0].IsPrimary)
	replica := copies[1]
	require.Equal(t, offsite.ID, replica.StorageLocationID)

	bad := damaged(c, chunks[0])
	require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: replica, Verification: outcome(false, 1), Damaged: bad}))
	require.Nil(t, verificationOf(t, d, c), "the backup itself is as it was")
	needs, err := d.BackupsThatNeed(t.Context(), offsite.ID, []string{bad[0].Key})
	require.NoError(t, err)
	require.Len(t, needs[bad[0].Key], 1)
	replicas, err := d.ListReplicas(t.Context(), c.ExecutionID)
	require.NoError(t, err)
	require.NotNil(t, replicas[0].VerifiedAt)
	generation, err := d.ListGenerationCopies(t.Context(), offsite.ID, c.Generation)
	require.NoError(t, err)
	require.Equal(t, []db.Copy{replica}, generation)
}

func newScrubID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return id.String()
}

func TestABackupThatWasMadeWhileDamageWasFoundInItsParentIsNotGood(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	j := newJob(t, d, "nightly")
	chunks := numbered(0, 4)
	full := newCopy(t, d, j, "", chunks)
	increment, err := d.CreateExecution(t.Context(), db.Execution{
		JobID: &j.ID, DatasourceID: &j.DatasourceID, StorageLocationID: &j.StorageLocationID, Generation: full.Generation, BackupType: domain.Incremental,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerManual},
	})
	require.NoError(t, err)
	require.NoError(t, d.AddChunks(t.Context(), increment.ID, chunks[:2]))
	require.NoError(t, d.RecordCheck(t.Context(), db.Check{Copy: full, Verification: outcome(false, 1), Damaged: damaged(full, chunks[1])}))
	finish(t, d, increment.ID, domain.Completed)
	e, err := d.GetExecution(t.Context(), increment.ID)
	require.NoError(t, err)
	require.NotNil(t, e.Metadata.Verification)
	require.False(t, e.Metadata.Verification.OK)
	require.Equal(t, int64(1), e.Metadata.Verification.Damaged)
}
