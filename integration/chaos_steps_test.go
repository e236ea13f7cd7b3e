package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/reconcile"
)

func jitter(rng *rand.Rand) time.Duration { return time.Duration(rng.IntN(1500)) * time.Millisecond }

// aimedStep makes the step that gets to a target.
func (c *chaos) aimedStep(target string) {
	c.t.Helper()
	at := death{boundary: target, nth: 1}
	switch {
	case target == "dump.made_full":
		c.randomStep()
	case target == "dump.leftovers_removed":
		c.backUpUnder(pick(c.rng, domain.Full, domain.Incremental), death{boundary: pick(c.rng, "dump.batch_recorded", "dump.manifest_written"), nth: 1}, at)
	case slices.Contains(discardPoints, target):
		c.cancelledBackup(at)
	case slices.Contains(restorePoints, target):
		c.restoreUnder(target == "restore.discarded", at)
	case slices.Contains(deletePoints, target):
		c.deleteUnder(c.rng.IntN(3) == 0, at)
	case target == "reconcile.manifests_removed":
		c.lostBackup("dump.manifest_written")
		c.reconcileUnder(at)
	case slices.Contains(reconcilePoint, target):
		c.plantOrphans()
		c.reconcileUnder(at)
	case slices.Contains(anyExecution, target) && c.rng.IntN(2) == 0:
		c.restoreUnder(c.rng.IntN(2) == 0, at)
	default:
		c.someBackup()
		c.backUpUnder(pick(c.rng, domain.Differential, domain.Incremental), at)
	}
}

func (c *chaos) randomStep() {
	c.t.Helper()
	switch c.rng.IntN(10) {
	case 0, 1, 2:
		c.backUpUnder(pick(c.rng, domain.Full, domain.Differential, domain.Incremental), c.someDeaths(dumpPoints...)...)
	case 3:
		c.cancelledBackup(c.someDeaths(discardPoints...)...)
	case 4:
		c.lostBackup(pick(c.rng, "dump.claimed", "dump.batch_recorded", "dump.manifest_written", "dump.result_recorded", "dump.rows_recorded"))
	case 5, 6:
		c.restoreUnder(c.rng.IntN(3) == 0, c.someDeaths(restorePoints...)...)
	case 7, 8:
		c.deleteUnder(c.rng.IntN(3) == 0, c.someDeaths(deletePoints[1:]...)...)
	default:
		c.plantOrphans()
		c.reconcileUnder(c.someDeaths("reconcile.objects_removed")...)
	}
}

// change gives the next backup something to store.
func (c *chaos) change() {
	c.t.Helper()
	c.changes++
	statement := fmt.Sprintf(`update noise set body = sha256(body) || body where n %% 20 = %d; delete from orders where id %% 50 = %[2]d;
		insert into noise select %[2]d * 1000 + n, %[3]s from generate_series(1, 10) n`, c.rng.IntN(20), c.changes, noiseOfRow)
	if c.rng.IntN(4) == 0 {
		statement += fmt.Sprintf("; create table extra_%d as select n, n::text || 'x' as name from generate_series(1, 500) n", c.changes)
	}
	c.inDatabase(c.database, statement)
}

// begin changes the source, remembers what is in it, and starts a backup of it. A quick check is made by the dump, and is another boundary than that of a full one.
func (c *chaos) begin(kind domain.BackupType, deaths ...death) client.Execution {
	c.t.Helper()
	options := domain.BackupOptions{BackupType: kind}
	if slices.ContainsFunc(deaths, func(d death) bool { return d.boundary == "dump.verified" }) {
		options.Verify = domain.VerifyQuick
	}
	c.change()
	content := contentOf(c.t, c.database)
	e, err := shared.owner.RunJob(c.t.Context(), c.job.ID, &options)
	require.NoError(c.t, err)
	c.expected[e.ID] = content
	return e
}

func (c *chaos) backUpUnder(kind domain.BackupType, deaths ...death) {
	c.t.Helper()
	c.arm(deaths)
	e := c.begin(kind, deaths...)
	c.t.Logf("backup %s, %s, deaths %v", e.ID, kind, deaths)
	ended := c.through(e, deaths)
	require.Equal(c.t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(c.t, len(c.manifest(ended).Objects), c.chunkRows(c.t, ended))
}

// cancelledBackup is called off when its worker is dead; others that clean up die too.
func (c *chaos) cancelledBackup(deaths ...death) {
	c.t.Helper()
	var e client.Execution
	first := death{boundary: pick(c.rng, "dump.batch_recorded", "dump.manifest_written"), nth: 1, then: func() error {
		_, err := shared.owner.Cancel(c.t.Context(), e.ID)
		return err
	}}
	deaths = slices.Concat([]death{first}, deaths)
	c.arm(deaths)
	e = c.begin(pick(c.rng, domain.Full, domain.Incremental))
	c.t.Logf("backup %s, cancelled, deaths %v", e.ID, deaths)
	ended := c.through(e, deaths)
	require.True(c.t, ended.Status.Finished())
	require.NotEqual(c.t, domain.Completed, ended.Status)
}

// lostBackup loses its worker and then its workflow.
func (c *chaos) lostBackup(at string) {
	c.t.Helper()
	if !c.aims("reconcile.manifests_removed") && at == "dump.manifest_written" {
		c.someBackup()
	}
	var e client.Execution
	deaths := []death{{boundary: at, nth: 1, then: func() error {
		return errors.Join(c.lose(e), c.sweep(e))
	}}}
	c.arm(deaths)
	e = c.begin(pick(c.rng, domain.Full, domain.Incremental))
	c.t.Logf("backup %s, lost at %s", e.ID, at)
	ended := c.through(e, deaths)
	require.Equal(c.t, domain.Failed, ended.Status)
}

func (c *chaos) lose(e client.Execution) error {
	return shared.dialled.TerminateWorkflow(c.t.Context(), e.Metadata.WorkflowID, "", "lost")
}

// sweep lets the API server's own reconciliation close the row.
func (c *chaos) sweep(e client.Execution) error {
	for {
		_, err := reconcile.Sweep(c.t.Context(), shared.db, shared.dialled, time.Minute, quiet())
		row, found := shared.owner.GetExecution(c.t.Context(), e.ID)
		if found != nil || row.Status.Finished() || c.t.Context().Err() != nil {
			return found
		}
		c.t.Logf("the sweep left %s open: %v", e.ID, err)
	}
}

func (c *chaos) restoreUnder(verifies bool, deaths ...death) {
	c.t.Helper()
	c.restoreOf(c.someBackup(), verifies, deaths...)
}

func (c *chaos) restoreOf(backup client.Execution, verifies bool, deaths ...death) {
	c.t.Helper()
	request := client.RestoreRequest{TargetDatasourceID: c.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(c.datasource.Name)}
	request.ParallelJobs = c.rng.IntN(3)
	if verifies {
		verification()(&request)
	} else {
		request.TargetDatabase = fmt.Sprintf("%s_r%d", c.database, len(c.restores))
		if c.rng.IntN(2) == 0 {
			request.DropExisting = true
			c.inDatabase("postgres", "create database "+request.TargetDatabase)
			c.inDatabase(request.TargetDatabase, "create table was_here_before (n int)")
		}
	}
	c.arm(deaths)
	e, err := shared.owner.Restore(c.t.Context(), backup.ID, request)
	require.NoError(c.t, err)
	c.restores = append(c.restores, e)
	c.t.Logf("restore %s of %s into %q, deaths %v", e.ID, backup.ID, request.TargetDatabase, deaths)
	ended := c.through(e, deaths)
	require.Equal(c.t, domain.Completed, ended.Status, ended.ErrorMessage)
	if !verifies {
		require.Equal(c.t, c.expected[backup.ID], contentOf(c.t, request.TargetDatabase), "backup %s", backup.ID)
		c.inDatabase("postgres", "drop database "+request.TargetDatabase+" with (force)")
	}
}

// deleteUnder deletes a backup. One that is lost is left to the reconciliation.
func (c *chaos) deleteUnder(lost bool, deaths ...death) {
	c.t.Helper()
	e := c.someBackup()
	workflow := contract.DeleteWorkflowID(e.ID)
	if lost && len(deaths) > 0 {
		deaths[len(deaths)-1].then = func() error {
			err := shared.dialled.TerminateWorkflow(c.t.Context(), workflow, "", "lost")
			if err != nil && strings.Contains(err.Error(), "already completed") {
				return nil
			}
			return err
		}
	}
	c.arm(deaths)
	_, err := shared.owner.DeleteExecution(c.t.Context(), e.ID)
	require.NoError(c.t, err)
	c.t.Logf("deletion of %s, lost %t, deaths %v", e.ID, lost, deaths)
	c.await(workflow, deaths)
}

// plantOrphans adds a thousand and one objects that nothing needs, which is more than a sweep removes
// at a time.
func (c *chaos) plantOrphans() {
	c.t.Helper()
	c.someBackup()
	source := filepath.Dir(c.chunks(c.t)[0])
	dir := filepath.Join(filepath.Dir(source), "ab")
	require.NoError(c.t, os.MkdirAll(dir, 0o700))
	for n := range 1001 {
		path := filepath.Join(dir, fmt.Sprintf("ab%062x.zst.age", n))
		require.NoError(c.t, os.WriteFile(path, []byte("abc"), 0o600))
	}
}

func (c *chaos) reconcileUnder(deaths ...death) {
	c.t.Helper()
	c.age(c.t, 48*time.Hour)
	c.arm(deaths)
	done := make(chan struct{})
	var report client.ReconcileReport
	var err error
	go func() {
		defer close(done)
		report, err = shared.owner.ReconcileStorage(c.t.Context(), c.storage.ID, false)
	}()
	c.keeper.survive(done, deaths)
	require.NoError(c.t, err)
	c.t.Logf("reconciliation, deaths %v: %+v", deaths, report)
	require.Zero(c.t, report.DeletionsFailed)
	require.Zero(c.t, report.UnknownBackups)
	require.Empty(c.t, report.UnreadableManifests)
}

// arm readies the worker for the first death of the step that follows.
func (c *chaos) arm(deaths []death) {
	c.t.Helper()
	if len(deaths) > 0 {
		c.keeper.arm(&deaths[0])
	}
}

// through waits for the end of an execution's workflow and returns the row.
func (c *chaos) through(e client.Execution, deaths []death) client.Execution {
	c.t.Helper()
	c.await(e.Metadata.WorkflowID, deaths)
	row, err := shared.owner.GetExecution(c.t.Context(), e.ID)
	require.NoError(c.t, err)
	return row
}

// await waits for the end of a workflow, however it ends.
func (c *chaos) await(workflow string, deaths []death) {
	c.t.Helper()
	require.NotEmpty(c.t, workflow)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = shared.dialled.GetWorkflow(c.t.Context(), workflow, "").Get(c.t.Context(), nil)
	}()
	c.keeper.survive(done, deaths)
}

// someBackup is one of the completed backups; it makes one where there is none.
func (c *chaos) someBackup() client.Execution {
	c.t.Helper()
	all := c.completed()
	if len(all) == 0 {
		c.backUpUnder(domain.Incremental)
		all = c.completed()
	}
	return pick(c.rng, all...)
}

// completed are the backups that people see.
func (c *chaos) completed() []client.Execution {
	c.t.Helper()
	all, err := shared.owner.ListExecutions(c.t.Context(), client.ExecutionFilter{Job: c.job.ID, Operation: domain.OperationBackup, Status: domain.Completed})
	require.NoError(c.t, err)
	return slices.DeleteFunc(all, func(e client.Execution) bool { return e.DeletingAt != nil })
}
