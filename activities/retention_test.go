package activities_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/workflows"
)

// policy gives the site's job a retention policy.
func (s *site) policy(p domain.RetentionPolicy) {
	s.t.Helper()
	job, err := s.d.GetBackupJob(s.t.Context(), s.job.ID)
	require.NoError(s.t, err)
	job.RetentionPolicy = p
	s.job, err = s.d.UpdateBackupJob(s.t.Context(), job)
	require.NoError(s.t, err)
}

// retain applies the policy with the real workflows.
func (s *site) retain() contract.RetentionDone {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	s.register(env)
	contract.DeleteBackup.Register(env, workflows.DeleteBackup)
	env.ExecuteWorkflow(workflows.ApplyRetention, contract.RetentionInput{
		JobID: s.job.ID, Labels: contract.Labels{Job: s.job.Name}, Done: contract.RetentionDone{RunID: rand.Text()}, // all runs of the test's environment have one id
	})
	require.NoError(s.t, env.GetWorkflowError())
	var done contract.RetentionDone
	require.NoError(s.t, env.GetWorkflowResult(&done))
	return done
}

func (s *site) exists(e db.Execution) bool {
	s.t.Helper()
	_, err := s.d.GetExecution(s.t.Context(), e.ID)
	if !errors.Is(err, db.ErrNotFound) {
		require.NoError(s.t, err)
	}
	return err == nil
}

// A history of fulls, increments and differentials, some of them pinned, with the policy applied after each: what stays
// reads back whole, and the storage location holds nothing else.
func TestWhatRetentionLeavesIsWholeAndNothingElseIsStored(t *testing.T) {
	s := newSite(t)
	const seed = 7
	rng := mathrand.New(mathrand.NewSource(seed)) //nolint:gosec // a history, no secret
	t.Logf("seed %d", seed)
	s.source.fill(seed, 3*mib)
	type kept struct {
		db.Execution
		data []byte
	}
	var all []kept
	removals := 0 // runs that removed something: each is told once
	s.policy(domain.RetentionPolicy{MaxBackups: 3, AutoDelete: true})
	for i := range 10 {
		if i > 0 {
			s.source.change("a row was changed")
		}
		e := s.good([]domain.BackupType{domain.Full, domain.Incremental, domain.Incremental, domain.Differential}[rng.Intn(4)])
		require.NoError(t, s.d.SetPinned(t.Context(), e.ID, rng.Intn(5) == 0))
		all = append(all, kept{e, s.source.content()})
		if s.retain().Removed > 0 {
			removals++
		}
		var left []db.Execution
		for n, k := range all {
			newest, e := n >= len(all)-3, k.Execution
			if !s.exists(e) {
				require.False(t, newest, "one of the newest three")
				continue
			}
			read, err := s.d.GetExecution(t.Context(), e.ID)
			require.NoError(t, err)
			require.True(t, newest || read.Pinned, "backup %d of %d", n, len(all))
			s.requireReads(e, k.data)
			left = append(left, e)
		}
		s.requireNothingElse(left...)
	}
	require.Equal(t, removals, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE type = 'cleanup_completed' AND message LIKE '%freed%'`))
	require.Positive(t, removals)
}

// A full check finds that the engine can not read the newest backup. The scrub after it, which finds every byte as it was stored, does
// not make it the one that is kept in place of the only one that can be restored, nor a parent.
func TestADumpThatCanNotBeReadDoesNotOutliveOneThatCan(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, mib)
	first := s.good(domain.Full)
	s.source.change("a row was changed")
	second := s.good(domain.Full)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	check := func(activity string, in any) (result contract.CopyCheck) {
		value, err := env.ExecuteActivity(activity, in)
		require.NoError(t, err)
		require.NoError(t, value.Get(&result))
		return result
	}
	s.source.unreadable = true
	require.False(t, check(contract.CheckCopy.Name, contract.CopyRef{BackupID: second.ID, StorageLocationID: s.job.StorageLocationID, Mode: domain.VerifyFull}).OK)
	s.source.unreadable = false
	require.True(t, check(contract.CheckCopy.Name, contract.CopyRef{BackupID: second.ID, StorageLocationID: s.job.StorageLocationID, Mode: domain.VerifyQuick}).OK)
	scrub := contract.ScrubStep{RunID: uuid.NewString(), StorageLocationID: s.job.StorageLocationID, Generation: second.Generation}
	check(contract.StartScrub.Name, scrub)
	require.True(t, check(contract.CheckGeneration.Name, scrub).OK)

	s.policy(domain.RetentionPolicy{MaxBackups: 1, AutoDelete: true})
	s.retain()
	require.True(t, s.exists(first), "the only backup that can be restored")
	require.Equal(t, 1, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE title LIKE '%does not verify'`))
	s.source.change("another row was changed")
	third := s.good(domain.Incremental)
	require.NotEqual(t, second.Generation, third.Generation)
}

func TestABackupWhoseObjectsCanNotBeRemovedGoesWithTheNextRun(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, mib)
	first := s.good(domain.Full)
	s.source.change("a row was changed")
	second := s.good(domain.Full)
	s.policy(domain.RetentionPolicy{MaxBackups: 1, AutoDelete: true})
	s.store.Inject(faulty.Fault{Op: faulty.Delete, Err: errors.New("the disk is away"), Times: 2 * contract.Handovers}) // this Temporal counts attempts, not tries
	done := s.retain()
	require.Equal(t, []string{first.ID}, done.Failed)
	require.True(t, s.exists(first))
	results, err := s.d.RetentionResults(t.Context(), []string{s.job.ID})
	require.NoError(t, err)
	require.Equal(t, 1, results[s.job.ID].Failed)
	require.Zero(t, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE type = 'cleanup_completed'`), "nothing was removed")

	s.store.Clear()
	require.Equal(t, 1, s.retain().Removed)
	require.False(t, s.exists(first))
	s.requireNothingElse(second)
	require.Equal(t, 1, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE type = 'cleanup_completed'`))
}

// A job that copies its backups to a second location: what the policy does not keep goes from both, and what it keeps is whole on
// both. While one of them is away the backup stays in the list, and goes when that is back.
func TestRetentionRemovesABackupFromEveryLocationThatHasIt(t *testing.T) {
	s, second, options := twoPlaces(t, domain.StrategyReplicate)
	s.source.fill(1, mib)
	s.policy(domain.RetentionPolicy{MaxBackups: 2, AutoDelete: true})
	var backups []db.Execution
	var data [][]byte
	for range 3 {
		e := s.backup(options(domain.Incremental))
		s.requireGood(e)
		require.Equal(t, []string{"/disk completed", "/second completed"}, results(e), logged(e))
		backups, data = append(backups, e), append(data, s.source.content())
		s.source.change("a row was changed")
	}
	require.Equal(t, domain.Incremental, backups[2].BackupType, "they share objects")
	s.stores["/second"].Inject(faulty.Fault{Op: faulty.Delete, Err: errors.New("the disk is away"), Times: 2 * contract.Handovers})
	require.Equal(t, []string{backups[0].ID}, s.retain().Failed)
	require.True(t, s.exists(backups[0]), "it is on the second location yet")
	require.Contains(t, s.contentsOf(s.stores["/second"]), backups[0].Metadata.ManifestPath)

	s.stores["/second"].Clear()
	require.Equal(t, 1, s.retain().Removed)
	require.False(t, s.exists(backups[0]))
	for at, locationID := range map[string]string{"/disk": s.job.StorageLocationID, "/second": second} {
		require.NotContains(t, s.contentsOf(s.stores[at]), backups[0].Metadata.ManifestPath, at)
		s.requireNothingElseIn(s.stores[at], backups[1:]...)
		for i, e := range backups[1:] {
			s.requireReadsFrom(locationID, e, data[i+1])
		}
	}
}

func TestAPolicyWithoutAutoDeleteOnlyReports(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, mib)
	first := s.good(domain.Full)
	s.good(domain.Full)
	s.policy(domain.RetentionPolicy{MaxBackups: 1})
	require.Zero(t, s.retain().Removed)
	require.True(t, s.exists(first))
	results, err := s.d.RetentionResults(t.Context(), []string{s.job.ID})
	require.NoError(t, err)
	require.Equal(t, []string{first.ID}, results[s.job.ID].WouldRemove)
	require.Equal(t, 1, results[s.job.ID].Kept)
}

func TestTheHealthCheckOfAPoolProbesWhatIsEnabledInIt(t *testing.T) {
	s := newSite(t)
	_, err := s.d.CreateDatasource(t.Context(), db.Datasource{Name: "elsewhere", Type: domain.Postgres, Enabled: true, Pool: "edge"})
	require.NoError(t, err)
	_, err = s.d.CreateDatasource(t.Context(), db.Datasource{Name: "off", Type: domain.Postgres})
	require.NoError(t, err)
	_, err = s.d.CreateDatasource(t.Context(), db.Datasource{Name: "no engine", Type: domain.MySQL, Enabled: true})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	check := func() contract.PoolReport {
		value, err := env.ExecuteActivity(contract.CheckPool.Name, contract.CheckPoolInput{Pool: "default"})
		require.NoError(t, err)
		var report contract.PoolReport
		require.NoError(t, value.Get(&report))
		return report
	}
	require.Equal(t, contract.PoolReport{Datasources: map[string]int{"ok": 1, "error": 1}, Storage: map[string]int{"healthy": 1}}, check())
	require.Equal(t, 1, dbtest.Count(t, s.url, `SELECT count(*) FROM storage_health_checks WHERE used_bytes IS NOT NULL`))

	s.store.Inject(faulty.Fault{Op: faulty.Put, Err: errors.New("the disk is away"), Times: 2 * contract.Handovers}) // this Temporal counts attempts, not tries
	for range 3 {
		require.Equal(t, 1, check().Storage["unreachable"])
	}
	s.store.Clear()
	require.Equal(t, 1, check().Storage["healthy"])
	var told []string
	for _, kind := range []string{"storage_unreachable", "connection_restored", "connection_lost"} {
		for range dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE type::text = $1`, kind) {
			told = append(told, kind)
		}
	}
	require.Equal(t, []string{"storage_unreachable", "connection_restored", "connection_lost"}, told, "one each; the last is of the type without an engine")
	for kind, want := range map[domain.CheckedKind]contract.PoolReport{
		domain.CheckedDatasource: {Datasources: map[string]int{"ok": 1, "error": 1}}, domain.CheckedStorage: {Storage: map[string]int{"healthy": 1}},
	} {
		value, err := env.ExecuteActivity(contract.CheckPool.Name, contract.CheckPoolInput{Pool: "default", Of: kind})
		require.NoError(t, err)
		var report contract.PoolReport
		require.NoError(t, value.Get(&report))
		require.Equal(t, want, report, "each of its two schedules checks its kind only, or all would count twice")
	}
}

func TestAPoolWithoutWorkersAndAnOverdueJobAreToldOnce(t *testing.T) {
	s := newSite(t)
	dbtest.Execute(t, s.url, `UPDATE backup_jobs SET schedule_cron = '*/5 * * * *', schedule_since = now() - interval '1 hour'`)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	s.register(env)
	finish := func(in contract.FinishHealthInput) int {
		value, err := env.ExecuteActivity(contract.FinishHealth.Name, in)
		require.NoError(t, err)
		var overdue int
		require.NoError(t, value.Get(&overdue))
		return overdue
	}
	for range 3 {
		require.Equal(t, 1, finish(contract.FinishHealthInput{Unserved: []string{"default"}}))
	}
	s.source.fill(1, mib)
	s.good(domain.Full)
	require.Zero(t, finish(contract.FinishHealthInput{Served: []string{"default"}}))
	require.Zero(t, finish(contract.FinishHealthInput{Served: []string{"default"}}))
	for kind, entity := range map[string]string{"connection_lost": "system", "connection_restored": "system", "health_degraded": "backup_job"} {
		require.Equal(t, 1, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE type::text = $1 AND entity_type::text = $2`, kind, entity), kind)
	}
	require.Equal(t, 1, dbtest.Count(t, s.url, `SELECT count(*) FROM notifications WHERE entity_type = 'backup_job' AND type = 'health_degraded' AND severity = 'warning'`),
		"that nothing was backed up is no failure yet")
}

// What a run had no time for is first in the next one.
func TestWhatWasCheckedLongestAgoIsCheckedFirst(t *testing.T) {
	s := newSite(t)
	ids := map[string]string{}
	for _, name := range []string{"recent", "never", "old"} {
		d, err := s.d.CreateDatasource(t.Context(), db.Datasource{Name: name, Type: domain.MySQL, Enabled: true, Pool: "edge"})
		require.NoError(t, err)
		ids[d.ID] = name
		if name != "never" {
			dbtest.Execute(t, s.url, `INSERT INTO health_states (entity_type, entity_id, checked_at) VALUES ('datasource', $1, now() - $2::interval)`,
				d.ID, map[string]string{"recent": "1 minute", "old": "1 hour"}[name])
		}
	}
	location, err := s.d.CreateStorageLocation(t.Context(), db.StorageLocation{
		Name: "disk", Type: domain.StorageLocal, Enabled: true, Pool: "edge", Config: domain.StorageConfig{Path: "/edge"},
	})
	require.NoError(t, err)
	ids[location.ID] = "disk"
	dbtest.Execute(t, s.url, `INSERT INTO health_states (entity_type, entity_id, checked_at) VALUES ('storage_location', $1, now() - interval '2 hours')`, location.ID)
	acts := activities.New(activities.Options{DB: s.d, Logger: slog.New(slog.DiscardHandler)})
	order, err := acts.DueOrder(t.Context(), "edge")
	require.NoError(t, err)
	var names []string
	for _, id := range order {
		names = append(names, ids[id])
	}
	require.Equal(t, []string{"never", "disk", "old", "recent"}, names)
}
