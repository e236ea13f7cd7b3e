package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

// remove deletes a backup with the real workflow.
func (s *site) remove(e db.Execution) {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	s.register(env)
	env.ExecuteWorkflow(workflows.DeleteBackup, contract.ExecutionInput{ExecutionID: e.ID})
	require.NoError(s.t, env.GetWorkflowError())
	_, err := s.d.GetExecution(context.Background(), e.ID)
	require.ErrorIs(s.t, err, db.ErrNotFound)
}

// Two storage locations that are one place, the second imported before the increment was made: the
// catalogue does not say that the increment is there too.
func TestADeletionSparesABackupThatIsCataloguedOnAnotherNameOfThePlace(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 8*mib)
	full := s.good(domain.Full)
	again := s.location("/mnt/disk")
	s.stores["/mnt/disk"] = s.store
	require.NoError(t, s.d.PutReplica(t.Context(), db.Replica{ExecutionID: full.ID, StorageLocationID: again, ManifestPath: full.Metadata.ManifestPath}))
	s.source.change("a row was changed")
	increment := s.good(domain.Incremental)
	require.Equal(t, full.ID, *increment.ParentExecutionID)
	s.remove(full)
	s.requireGood(increment)
	s.requireNothingElse(increment)
}

// A catalogue that was restored from an older copy of itself does not know the increment.
func TestADeletionSparesABackupThatTheCatalogueLacks(t *testing.T) {
	s := newSite(t)
	s.source.fill(2, 8*mib)
	full := s.good(domain.Full)
	s.source.change("a row was changed")
	increment := s.good(domain.Incremental)
	dbtest.Execute(t, s.url, `DELETE FROM backup_executions WHERE id = $1`, increment.ID)
	s.remove(full)
	s.requireReads(increment, s.source.content())
	s.requireNothingElse(increment)
}
