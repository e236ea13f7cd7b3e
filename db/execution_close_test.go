package db_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAnExecutionIsClosedOnlyInTheStateThatWasMeant(t *testing.T) {
	d := dbtest.New(t)
	unstarted := db.Finish{Status: domain.Failed, ErrorMessage: "Temporal did not take it"}

	running := newRunning(t, d, "nightly")
	closed, err := d.FinishWhile(t.Context(), running.ID, domain.Queued, unstarted)
	require.NoError(t, err)
	require.False(t, closed)
	row, err := d.GetExecution(t.Context(), running.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Running, row.Status)

	queued, err := d.CreateExecution(t.Context(), db.Execution{Metadata: domain.ExecutionMetadata{Operation: domain.OperationBackup}})
	require.NoError(t, err)
	for _, first := range []bool{true, false} {
		closed, err = d.FinishWhile(t.Context(), queued.ID, domain.Queued, unstarted)
		require.NoError(t, err)
		require.Equal(t, first, closed)
	}
	row, err = d.GetExecution(t.Context(), queued.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, row.Status)

	_, err = d.FinishWhile(t.Context(), uuid.NewString(), domain.Queued, unstarted)
	require.ErrorIs(t, err, db.ErrNotFound)
}
