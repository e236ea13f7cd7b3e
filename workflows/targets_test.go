package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/workflows"
)

// newPlaces is a world with three storage locations.
func newPlaces(t *testing.T, replicate bool) *world {
	t.Helper()
	w := newWorld(t)
	w.plan.Verify, w.plan.Replicate = domain.VerifyQuick, replicate
	w.plan.Targets = []contract.Place{{StorageID: "id-a", Name: "a"}, {StorageID: "id-b", Name: "b"}, {StorageID: "id-c", Name: "c"}}
	w.at = "a"
	contract.MoveBackup.Register(w.env, func(_ context.Context, in contract.MoveInput) (contract.Nothing, error) {
		w.at = in.StorageLocationID[3:]
		return contract.Nothing{}, w.step("move to " + w.at)
	})
	contract.RecordTarget.Register(w.env, func(_ context.Context, in contract.TargetReport) (contract.Nothing, error) {
		w.reports = append(w.reports, in)
		return contract.Nothing{}, w.step(in.Result.Name + " " + string(in.Result.Status))
	})
	contract.BeginReplica.Register(w.env, func(_ context.Context, in contract.ReplicaRef) (contract.Plan, error) {
		return w.plan, w.step("begin copy to " + in.StorageLocationID[3:])
	})
	contract.CopyBackup.Register(w.env, func(_ context.Context, in contract.ReplicaRef) (contract.CopyResult, error) {
		return contract.CopyResult{Objects: 2, Copied: 2, Bytes: 40}, w.step("copy to " + in.StorageLocationID[3:])
	})
	contract.ChooseSource.Register(w.env, func(_ context.Context, in contract.SourceInput) (contract.Nothing, error) {
		w.at, w.sources = in.StorageLocationID[3:], append(w.sources, in)
		return contract.Nothing{}, w.step("read " + w.at)
	})
	contract.Replicate.Register(w.env, workflows.Replicate)
	return w
}

func of(side failure.Side, class, message string) error {
	return temporal.NewApplicationErrorWithOptions(message, class, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{"Look at " + message + ".", side},
	})
}

func (w *world) backup(t *testing.T) {
	t.Helper()
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.True(t, w.env.IsWorkflowCompleted())
}

func TestTheNextLocationTakesABackupThatTheFirstDoesNot(t *testing.T) {
	w := newPlaces(t, false)
	w.failAt["a"] = map[string]error{"dump": of(failure.Storage, "StorageFull", "a is full")}
	w.failAt["b"] = map[string]error{"verify quick": of(failure.Storage, "Corrupt", "b lost a chunk")}
	w.backup(t)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{
		"begin", "dump", "a failed", "discard backup", "move to b", "dump", "verify quick", "b failed", "discard backup",
		"move to c", "dump", "verify quick", "c completed", "finish",
	}, w.called)
	require.Equal(t, domain.Completed, w.finished[0].Status)
	require.Equal(t, contract.TargetReport{
		ExecutionID: "e1", Result: domain.StorageResult{StorageLocationID: "id-c", Name: "c", Status: domain.TargetCompleted, Objects: 2, Bytes: 40},
		Warning: `the backup went to storage location "c", because: storage location "a": a is full; storage location "b": b lost a chunk`,
	}, w.reports[2])
	require.Equal(t, []contract.DumpInput{
		{ExecutionID: "e1", StorageAttempts: 5, QuickCheck: true},
		{ExecutionID: "e1", AttemptsBefore: 1004, StorageAttempts: 5, QuickCheck: true},
		{ExecutionID: "e1", AttemptsBefore: 2008, QuickCheck: true},
	}, w.dumps, "attempts are numbered through, and the last location is tried as often as any")
}

func TestAFailureOfTheDatasourceNeverFallsBack(t *testing.T) {
	for name, err := range map[string]error{
		"of the datasource": of(failure.Datasource, "Unreachable", "orders is down"),
		"of the catalogue":  of(failure.Catalogue, "Unreachable", "the catalogue is down"),
		"of nobody":         permanent("Unknown", "?", ""),
	} {
		t.Run(name, func(t *testing.T) {
			w := newPlaces(t, true)
			w.fail["dump"] = err
			w.backup(t)
			require.Equal(t, []string{"begin", "dump", "discard backup", "finish"}, w.called)
			require.Equal(t, domain.Failed, w.finished[0].Status)
		})
	}
}

func TestABackupThatNoLocationTakesNamesThemAll(t *testing.T) {
	w := newPlaces(t, true)
	w.failAt["a"] = map[string]error{"dump": of(failure.Storage, "StorageFull", "a is full")}
	w.failAt["b"] = map[string]error{"move to b": of(failure.Storage, "ConfigInvalid", "it is disabled")}
	w.failAt["c"] = map[string]error{"dump": of(failure.Storage, "AuthFailed", `storage location "c": c knows nobody`)}
	w.backup(t)
	require.Error(t, w.env.GetWorkflowError())
	require.Equal(t, contract.FinishInput{
		ExecutionID: "e1", Status: domain.Failed, FailureClass: "StorageFull", Hint: "Look at a is full.",
		Message: `no storage location took the backup: storage location "a": a is full; storage location "b": it is disabled; storage location "c": c knows nobody`,
	}, w.finished[0])
	require.Len(t, w.reports, 3)
}

func TestLeftoversThatStayOnAFailedLocationHinderNothing(t *testing.T) {
	w := newPlaces(t, false)
	w.failAt["a"] = map[string]error{
		"dump": of(failure.Storage, "Unreachable", "a is gone"), "discard backup": errors.New("a is gone"), "a failed": permanent("NotFound", "no row", ""),
	}
	w.backup(t)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "dump", "a failed", "discard backup", "discard backup", "move to b", "dump", "verify quick", "b completed", "finish"}, w.called)
}

func TestReplicateCopiesToEveryOtherLocationInOrder(t *testing.T) {
	w := newPlaces(t, true)
	w.backup(t)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{
		"begin", "dump", "verify quick", "a completed", "begin copy to b", "copy to b", "b completed", "begin copy to c", "copy to c", "c completed", "finish",
	}, w.called)
}

func TestACopyThatFailsIsToldAndFailsNothing(t *testing.T) {
	w := newPlaces(t, true)
	w.failAt["a"] = map[string]error{"copy to b": of(failure.Storage, "StorageFull", "b is full")}
	w.backup(t)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, domain.Completed, w.finished[0].Status)
	require.Contains(t, w.called, "c completed")
	require.Equal(t, contract.TargetReport{
		ExecutionID: "e1", Alert: true, Warning: `the copy to storage location "b" failed: b is full`,
		Result: domain.StorageResult{
			StorageLocationID: "id-b", Name: "b", Status: domain.TargetFailed, FailureClass: "StorageFull", Error: "b is full", Hint: "Look at b is full.",
		},
	}, w.reports[1])
}

func TestReplicateGoesOnFromTheNextWhenTheFirstFails(t *testing.T) {
	w := newPlaces(t, true)
	w.failAt["a"] = map[string]error{"dump": of(failure.Storage, "Unreachable", "a is gone")}
	w.failAt["b"] = map[string]error{"copy to a": of(failure.Storage, "Unreachable", "a is still gone")}
	w.backup(t)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{
		"begin", "dump", "a failed", "discard backup", "move to b", "dump", "verify quick", "b completed",
		"begin copy to a", "copy to a", "a failed", "begin copy to c", "copy to c", "c completed", "finish",
	}, w.called)
}

func TestACancellationWhileItIsCopiedLeavesTheBackupGood(t *testing.T) {
	w := newPlaces(t, true)
	w.failAt["a"] = map[string]error{"copy to b": errors.New("tried again later")}
	w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 500*time.Millisecond)
	w.backup(t)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, domain.Completed, w.finished[0].Status)
	require.NotContains(t, w.called, "discard backup")
	require.NotContains(t, w.called, "copy to c")
	for _, report := range w.reports[1:] {
		require.Equal(t, domain.TargetFailed, report.Result.Status)
		require.Equal(t, "cancelled on request", report.Result.Error)
		require.False(t, report.Alert, "it was they who stopped it")
	}
	require.Len(t, w.reports, 3)
}

func TestARestoreReadsTheNextCopyWhenOneIsDamaged(t *testing.T) {
	w := newPlaces(t, false)
	w.plan.Sources = w.plan.Targets
	w.failAt["a"] = map[string]error{"check target": of(failure.Storage, "Unreachable", "a is gone")}
	w.failAt["b"] = map[string]error{"check archive": of(failure.Storage, "Corrupt", "b lost a chunk")}
	w.env.ExecuteWorkflow(workflows.Restore, input())
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{
		"begin", "read a", "check target", "read b", "check target", "check archive", "read c", "check target", "check archive", "stage", "promote", "finish",
	}, w.called)
	require.Equal(t, `storage location "b": b lost a chunk`, w.sources[2].Why)
}

func TestARestoreThatItsTargetRefusesReadsNoOtherCopy(t *testing.T) {
	w := newPlaces(t, false)
	w.plan.Sources = w.plan.Targets
	w.fail["check target"] = of(failure.Datasource, "ConfigInvalid", "it is not empty")
	w.env.ExecuteWorkflow(workflows.Restore, input())
	require.Equal(t, []string{"begin", "read a", "check target", "discard restore", "finish"}, w.called)
}

func TestARestoreWithoutAGoodCopyNamesThemAll(t *testing.T) {
	w := newPlaces(t, false)
	w.plan.Sources = w.plan.Targets
	for name, step := range map[string]string{"a": "check target", "b": "check archive", "c": "check archive"} {
		w.failAt[name] = map[string]error{step: of(failure.Storage, "Corrupt", name+" is damaged")}
	}
	w.env.ExecuteWorkflow(workflows.Restore, input())
	require.Error(t, w.env.GetWorkflowError())
	require.NotContains(t, w.called, "stage")
	require.Equal(t, `no copy of the backup can be restored: storage location "a": a is damaged; storage location "b": b is damaged; storage location "c": c is damaged`, w.finished[0].Message)
	require.Equal(t, "Corrupt", w.finished[0].FailureClass)
}
