package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// chain makes backups of one job, one after the other.
type chain struct {
	t   *testing.T
	d   *db.DB
	url string
	job db.BackupJob
}

func newChain(t *testing.T) *chain {
	t.Helper()
	url := dbtest.URL(t)
	d := dbtest.Open(t, url)
	return &chain{t: t, d: d, url: url, job: newJob(t, d, "orders")}
}

// begin starts a backup and holds its dump.
func (c *chain) begin(kind domain.BackupType) db.Execution {
	c.t.Helper()
	e, err := c.d.CreateExecution(c.t.Context(), db.Execution{
		JobID: &c.job.ID, DatasourceID: &c.job.DatasourceID, StorageLocationID: &c.job.StorageLocationID, BackupType: kind,
		Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup, Trigger: domain.TriggerManual},
	})
	require.NoError(c.t, err)
	require.NoError(c.t, c.d.ClaimDump(c.t.Context(), e.ID, 1))
	return e
}

// claim chooses what a backup builds on, and reads it again.
func (c *chain) claim(e db.Execution, fullEvery int) (db.Execution, db.NoParent) {
	c.t.Helper()
	reason, err := c.d.ClaimParent(c.t.Context(), e.ID, 1, fullEvery)
	require.NoError(c.t, err)
	e, err = c.d.GetExecution(c.t.Context(), e.ID)
	require.NoError(c.t, err)
	return e, reason
}

// complete is a backup from beginning to end.
func (c *chain) complete(kind domain.BackupType) db.Execution {
	c.t.Helper()
	e := c.begin(kind)
	if kind != domain.Full {
		claimed, reason := c.claim(e, 100)
		require.Empty(c.t, reason)
		e = claimed
	}
	finish(c.t, c.d, e.ID, domain.Completed)
	return e
}

func (c *chain) verified(e db.Execution, ok bool) {
	c.t.Helper()
	require.NoError(c.t, c.d.SetVerification(c.t.Context(), e.ID, domain.Verification{Mode: domain.VerifyFull, OK: ok}))
}

func TestABackupBuildsOnTheLatestGoodOneOfItsJob(t *testing.T) {
	c := newChain(t)
	other := newChain(t)
	other.complete(domain.Full)

	first, reason := c.claim(c.begin(domain.Incremental), 7)
	require.Equal(t, db.NoParentYet, reason)
	require.Nil(t, first.ParentExecutionID)
	require.NoError(t, c.d.MakeFull(t.Context(), first.ID, 1, "there is none yet", false))
	first, err := c.d.GetExecution(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Full, first.BackupType)
	require.Equal(t, "there is none yet", first.Metadata.FullReason)
	require.Empty(t, first.Metadata.Warnings)
	finish(t, c.d, first.ID, domain.Completed)

	second := c.complete(domain.Incremental)
	require.Equal(t, first.ID, *second.ParentExecutionID)
	require.Equal(t, first.Generation, second.Generation)
	require.Equal(t, 1, second.IncrementNumber)
	failed := c.begin(domain.Incremental)
	failed, _ = c.claim(failed, 7)
	require.Equal(t, second.ID, *failed.ParentExecutionID)
	finish(t, c.d, failed.ID, domain.Failed)
	third := c.complete(domain.Incremental)
	require.Equal(t, second.ID, *third.ParentExecutionID, "a failed one is nothing to build on")
	require.Equal(t, 2, third.IncrementNumber, "and does not count")
	differential := c.complete(domain.Differential)
	require.Equal(t, first.ID, *differential.ParentExecutionID)
	require.Equal(t, 3, differential.IncrementNumber)

	newest := c.complete(domain.Full)
	require.Equal(t, domain.ID8(newest.ID), newest.Generation)
	require.Equal(t, newest.ID, *c.complete(domain.Incremental).ParentExecutionID)
}

func TestAClaimIsTheSameForEveryAttempt(t *testing.T) {
	c := newChain(t)
	c.complete(domain.Full)
	e, reason := c.claim(c.begin(domain.Incremental), 7)
	require.Empty(t, reason)
	parent := *e.ParentExecutionID
	// Damage is found meanwhile: what is claimed stays, a new choice would mix two generations.
	c.verified(db.Execution{ID: parent}, false)
	require.NoError(t, c.d.ClaimDump(t.Context(), e.ID, 2))
	reason, err := c.d.ClaimParent(t.Context(), e.ID, 2, 1)
	require.NoError(t, err)
	require.Empty(t, reason)
	again, err := c.d.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, parent, *again.ParentExecutionID)

	require.ErrorIs(t, c.d.MakeFull(t.Context(), e.ID, 1, "late", true), db.ErrSuperseded)
	finish(t, c.d, e.ID, domain.Cancelled)
	require.ErrorIs(t, c.d.MakeFull(t.Context(), e.ID, 2, "late", true), db.ErrExecutionFinished)
	late := c.begin(domain.Incremental)
	require.NoError(t, c.d.ClaimDump(t.Context(), late.ID, 2))
	c.verified(db.Execution{ID: parent}, true)
	_, err = c.d.ClaimParent(t.Context(), late.ID, 1, 7)
	require.ErrorIs(t, err, db.ErrSuperseded)
}

func TestWhyThereIsNothingToBuildOn(t *testing.T) {
	cases := map[string]struct {
		given func(c *chain)
		kind  domain.BackupType
		every int
		want  db.NoParent
	}{
		"the only one failed its verification": {kind: domain.Incremental, every: 7, want: db.NoParentGood, given: func(c *chain) {
			c.verified(c.complete(domain.Full), false)
		}},
		"the only one is being deleted": {kind: domain.Incremental, every: 7, want: db.NoParentYet, given: func(c *chain) {
			e := c.complete(domain.Full)
			dbtest.Execute(c.t, c.url, "UPDATE backup_executions SET deleting_at = now() WHERE id = $1", e.ID)
		}},
		"a later backup of the generation was found damaged": {kind: domain.Differential, every: 7, want: db.NoParentDamaged, given: func(c *chain) {
			c.complete(domain.Full)
			c.verified(c.complete(domain.Incremental), false)
		}},
		"one that never completed found the damage": {kind: domain.Incremental, every: 7, want: db.NoParentDamaged, given: func(c *chain) {
			c.complete(domain.Full)
			e, _ := c.claim(c.begin(domain.Incremental), 7)
			c.verified(e, false)
			finish(c.t, c.d, e.ID, domain.Failed)
		}},
		"the job moved to another storage location": {kind: domain.Incremental, every: 7, want: db.NoParentHere, given: func(c *chain) {
			c.complete(domain.Full)
			c.job.StorageLocationID = newStorage(c.t, c.d, "elsewhere").ID
		}},
		"the job moved to another datasource": {kind: domain.Incremental, every: 7, want: db.NoParentHere, given: func(c *chain) {
			c.complete(domain.Full)
			c.job.DatasourceID = newDatasource(c.t, c.d, "another").ID
		}},
		"full_every is reached": {kind: domain.Incremental, every: 2, want: db.NoParentFullEvery, given: func(c *chain) {
			c.complete(domain.Full)
			c.complete(domain.Incremental)
			c.complete(domain.Incremental)
		}},
		"full_every is reached though retention took earlier ones": {kind: domain.Incremental, every: 2, want: db.NoParentFullEvery, given: func(c *chain) {
			full := c.complete(domain.Full)
			first := c.complete(domain.Incremental)
			c.complete(domain.Incremental)
			dbtest.Execute(c.t, c.url, "DELETE FROM backup_executions WHERE id = ANY($1)", []string{full.ID, first.ID})
		}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			c := newChain(t)
			test.given(c)
			e, reason := c.claim(c.begin(test.kind), test.every)
			require.Equal(t, test.want, reason)
			require.Nil(t, e.ParentExecutionID)
			require.NoError(t, c.d.MakeFull(t.Context(), e.ID, 1, "told", true))
			e, err := c.d.GetExecution(t.Context(), e.ID)
			require.NoError(t, err)
			require.Equal(t, domain.Full, e.BackupType)
			require.Equal(t, domain.ID8(e.ID), e.Generation)
			require.Equal(t, []string{"told"}, e.Metadata.Warnings)
		})
	}
}

// A deletion locks the row of the backup before it marks it. While it does, a claim waits; when the
// mark is there, the claim takes the one before.
func TestAClaimAndADeletionSeeEachOther(t *testing.T) {
	c := newChain(t)
	full := c.complete(domain.Full)
	latest := c.complete(domain.Incremental)
	e := c.begin(domain.Incremental)

	deleting, err := pgx.Connect(t.Context(), c.url)
	require.NoError(t, err)
	defer func() { _ = deleting.Close(context.Background()) }()
	tx, err := deleting.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM backup_executions WHERE id = $1 FOR UPDATE", latest.ID)
	require.NoError(t, err)
	claimed := make(chan error, 1)
	go func() {
		_, err := c.d.ClaimParent(context.Background(), e.ID, 1, 7)
		claimed <- err
	}()
	waiting := `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	require.Eventually(t, func() bool { return rows(t, c.url, waiting)[0] == "1" }, 2*time.Minute, 5*time.Millisecond)
	_, err = tx.Exec(t.Context(), "UPDATE backup_executions SET deleting_at = now() WHERE id = $1", latest.ID)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-claimed)
	e, err = c.d.GetExecution(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, full.ID, *e.ParentExecutionID)

	var held *db.InUseError
	require.ErrorAs(t, c.d.MarkDeleting(t.Context(), full.ID), &held)
	require.Contains(t, held.Error(), e.ID)
	finish(t, c.d, e.ID, domain.Completed)
	require.NoError(t, c.d.MarkDeleting(t.Context(), full.ID), "a backup that has ended counts its chunks itself")
}

func TestTheChunkSecretGoesWithTheLastBackupOfItsGeneration(t *testing.T) {
	c := newChain(t)
	full := c.complete(domain.Full)
	secret, err := c.d.ChunkSecret(t.Context(), c.job.DatasourceID, full.Generation)
	require.NoError(t, err)
	increment := c.complete(domain.Incremental)
	secrets := fmt.Sprintf("SELECT id::text FROM encryption_keys WHERE generation = '%s'", full.Generation)

	dbtest.Execute(t, c.url, "DELETE FROM backup_executions WHERE id = $1", full.ID)
	require.Len(t, rows(t, c.url, secrets), 1)
	kept, err := c.d.ChunkSecret(t.Context(), c.job.DatasourceID, full.Generation)
	require.NoError(t, err)
	require.Equal(t, secret, kept)
	dbtest.Execute(t, c.url, "DELETE FROM backup_executions WHERE id = $1", increment.ID)
	require.Empty(t, rows(t, c.url, secrets))
}
