package workflows_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

// world stands in for the activities: it answers as told and remembers what was called.
type world struct {
	env      *testsuite.TestWorkflowEnvironment
	plan     contract.Plan
	fail     map[string]error // step name -> what it returns
	called   []string
	finished []contract.FinishInput
	reports  []contract.TargetReport
	dumps    []contract.DumpInput
	sources  []contract.SourceInput
	at       string                      // the storage location where the backup is
	failAt   map[string]map[string]error // location -> step name -> what it returns there
	verified bool                        // what the dump says
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	w := &world{
		env:  suite.NewTestWorkflowEnvironment(),
		plan: contract.Plan{Verify: domain.VerifyFull, TimeoutMinutes: 60, Attempts: 3},
		fail: map[string]error{}, failAt: map[string]map[string]error{},
	}
	contract.BeginExecution.Register(w.env, func(context.Context, contract.BeginInput) (contract.Plan, error) {
		return w.plan, w.step("begin")
	})
	contract.Dump.Register(w.env, func(ctx context.Context, in contract.DumpInput) (contract.DumpResult, error) {
		w.dumps = append(w.dumps, in)
		return contract.DumpResult{SizeBytes: 100, StoredBytes: 40, Chunks: 2, Verified: w.verified}, w.counted(ctx, w.step("dump"))
	})
	contract.Verify.Register(w.env, func(_ context.Context, in contract.VerifyInput) (contract.VerifyResult, error) {
		return contract.VerifyResult{}, w.step("verify " + string(in.Mode))
	})
	contract.FinishExecution.Register(w.env, func(_ context.Context, in contract.FinishInput) (contract.Nothing, error) {
		w.finished = append(w.finished, in)
		return contract.Nothing{}, w.step("finish")
	})
	contract.CheckArchive.Register(w.env, func(context.Context, contract.RestoreStep) (contract.VerifyResult, error) {
		return contract.VerifyResult{}, w.step("check archive")
	})
	contract.StageRestore.Register(w.env, func(context.Context, contract.ExecutionRef) (contract.StageResult, error) {
		return contract.StageResult{Tables: 3, Bytes: 100}, w.step("stage")
	})
	for name, handle := range map[string]contract.Activity[contract.ExecutionRef, contract.Nothing]{
		"promote": contract.PromoteRestore, "discard restore": contract.DiscardRestore,
	} {
		handle.Register(w.env, func(context.Context, contract.ExecutionRef) (contract.Nothing, error) {
			return contract.Nothing{}, w.step(name)
		})
	}
	contract.DiscardBackup.Register(w.env, func(context.Context, contract.DiscardInput) (contract.Nothing, error) {
		return contract.Nothing{}, w.step("discard backup")
	})
	contract.CheckTarget.Register(w.env, func(context.Context, contract.RestoreStep) (contract.Nothing, error) {
		return contract.Nothing{}, w.step("check target")
	})
	return w
}

func (w *world) step(name string) error {
	w.called = append(w.called, name)
	if err := w.failAt[w.at][name]; err != nil {
		return err
	}
	return w.fail[name]
}

// counted makes the failure of the last try the last one, which the activities do and the retry policy does not.
func (w *world) counted(ctx context.Context, err error) error {
	var told *temporal.ApplicationError
	if activity.GetInfo(ctx).Attempt < w.plan.Attempts || !errors.As(err, &told) || told.NonRetryable() {
		return err
	}
	var hint string
	if told.HasDetails() {
		_ = told.Details(&hint)
	}
	return permanent(told.Type(), told.Message(), hint)
}

func input() contract.ExecutionInput {
	return contract.ExecutionInput{ExecutionID: "e1", Labels: contract.Labels{Datasource: "orders", Storage: "disk"}}
}

func permanent(class, message, hint string) error {
	return temporal.NewApplicationErrorWithOptions(message, class, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{hint}})
}

func TestABackupIsDumpedVerifiedAndRecorded(t *testing.T) {
	w := newWorld(t)
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.NoError(t, w.env.GetWorkflowError())
	var result contract.ExecutionResult
	require.NoError(t, w.env.GetWorkflowResult(&result))
	require.Equal(t, contract.ExecutionResult{ExecutionID: "e1", SizeBytes: 100, CompressedBytes: 40, Chunks: 2}, result)
	require.Equal(t, []string{"begin", "dump", "verify full", "finish"}, w.called)
	require.Equal(t, domain.Completed, w.finished[0].Status)
}

func TestABackupWithoutVerificationIsNotVerified(t *testing.T) {
	w := newWorld(t)
	w.plan.Verify = domain.VerifyNone
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "dump", "finish"}, w.called)
}

func TestABackupThatItsDumpHasCheckedIsNotCheckedAgain(t *testing.T) {
	for _, mode := range []domain.VerifyMode{domain.VerifyQuick, domain.VerifyFull} {
		for _, verified := range []bool{true, false} {
			w := newWorld(t)
			w.plan.Verify, w.verified = mode, verified && mode == domain.VerifyQuick
			w.env.ExecuteWorkflow(workflows.Backup, input())
			require.NoError(t, w.env.GetWorkflowError())
			require.Equal(t, mode == domain.VerifyQuick, w.dumps[0].QuickCheck, "a check of another mode is a step of its own")
			want := []string{"begin", "dump", "verify " + string(mode), "finish"}
			if w.verified {
				want = []string{"begin", "dump", "finish"}
			}
			require.Equal(t, want, w.called)
		}
	}
}

func TestABackupThatFailsVerificationIsFailedAndRemoved(t *testing.T) {
	w := newWorld(t)
	w.fail["verify full"] = permanent("Corrupt", "chunk 7 is not what was written", "Check the disk.")
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.Error(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "dump", "verify full", "discard backup", "finish"}, w.called)
	require.Equal(t, contract.FinishInput{
		ExecutionID: "e1", Status: domain.Failed, FailureClass: "Corrupt",
		Message: "chunk 7 is not what was written", Hint: "Check the disk.",
	}, w.finished[0])
}

func TestAPassingErrorIsTriedAgainAndThenTold(t *testing.T) {
	w := newWorld(t)
	w.fail["dump"] = temporal.NewApplicationErrorWithOptions("connection refused", "Unreachable", temporal.ApplicationErrorOptions{Details: []any{"Start it."}})
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.Error(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "dump", "dump", "dump", "discard backup", "finish"}, w.called)
	require.Equal(t, "Unreachable", w.finished[0].FailureClass)
	require.Equal(t, "Start it.", w.finished[0].Hint)
}

func TestAGoodBackupStaysWhenItsEndCanNotBeRecorded(t *testing.T) {
	w := newWorld(t)
	w.fail["finish"] = permanent("NotFound", "the execution is gone", "")
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.Error(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "dump", "verify full", "finish"}, w.called)
}

func TestLeftoversThatCanNotBeRemovedAreTold(t *testing.T) {
	w := newWorld(t)
	w.fail["dump"] = permanent("StorageFull", "no space left", "")
	w.fail["discard backup"] = permanent("AuthFailed", "permission denied", "")
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.Equal(t, domain.Failed, w.finished[0].Status)
	require.Equal(t, "StorageFull", w.finished[0].FailureClass)
	require.Contains(t, w.finished[0].Message, "no space left; and its leftovers could not be removed: permission denied")
}

func TestACancelledBackupIsCleanedUpAndRecordedAsCancelled(t *testing.T) {
	w := newWorld(t)
	w.fail["dump"] = errors.New("tried again later")
	w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 500*time.Millisecond)
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.True(t, temporal.IsCanceledError(w.env.GetWorkflowError()))
	require.Equal(t, []string{"begin", "dump", "discard backup", "finish"}, w.called)
	require.Equal(t, domain.Cancelled, w.finished[0].Status)
}

func TestARestoreChecksBeforeItLoadsAndSwapsLast(t *testing.T) {
	w := newWorld(t)
	w.env.ExecuteWorkflow(workflows.Restore, input())
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "check target", "check archive", "stage", "promote", "finish"}, w.called)
}

func TestARestoreOfACorruptArchiveNeverLoads(t *testing.T) {
	w := newWorld(t)
	w.fail["check archive"] = permanent("Corrupt", "chunk 1 is damaged", "")
	w.env.ExecuteWorkflow(workflows.Restore, input())
	require.Error(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"begin", "check target", "check archive", "discard restore", "finish"}, w.called)
	require.Equal(t, domain.Failed, w.finished[0].Status)
}

func TestAVerificationRestoreDropsWhatItLoaded(t *testing.T) {
	for name, keep := range map[string]bool{"it is dropped": false, "it is kept when asked": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan.VerificationMode, w.plan.KeepDatabase = true, keep
			w.env.ExecuteWorkflow(workflows.Restore, input())
			require.NoError(t, w.env.GetWorkflowError())
			require.NotContains(t, w.called, "promote")
			if keep {
				require.NotContains(t, w.called, "discard restore")
			} else {
				require.Contains(t, w.called, "discard restore")
			}
		})
	}
}

func TestACancellationDuringTheSwapComesTooLate(t *testing.T) {
	w := newWorld(t)
	swapped := false
	w.fail["promote"] = errors.New("a client holds the database")
	w.env.RegisterDelayedCallback(func() {
		w.env.CancelWorkflow()
		delete(w.fail, "promote")
		swapped = true
	}, 500*time.Millisecond)
	w.env.ExecuteWorkflow(workflows.Restore, input())
	require.True(t, swapped)
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, domain.Completed, w.finished[len(w.finished)-1].Status)
}

func TestWhatALostRestoreLoadedIsDroppedOnceItsStepsHaveEnded(t *testing.T) {
	w := newWorld(t)
	began := w.env.Now()
	contract.DropStaging.Register(w.env, func(context.Context, contract.ExecutionRef) (contract.Nothing, error) {
		require.GreaterOrEqual(t, w.env.Now().Sub(began), 45*time.Second, "a step that still runs could load on")
		return contract.Nothing{}, w.step("drop staging")
	})
	w.env.ExecuteWorkflow(workflows.CleanRestore, input())
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{"drop staging"}, w.called)
}

// Short work has slots of its own: a result that waits for the end of somebody's dump is recorded hours late.
func TestOnlyWhatMovesDataWaitsForASlotBehindBackups(t *testing.T) {
	for name, c := range map[string]struct {
		run   func(w *world)
		short []string
		long  []string
	}{
		"a backup that fails": {
			run: func(w *world) {
				w.fail["dump"] = permanent("AuthFailed", "refused", "")
				w.env.ExecuteWorkflow(workflows.Backup, input())
			},
			short: []string{contract.DiscardBackup.Name, contract.FinishExecution.Name}, long: []string{contract.Dump.Name},
		},
		"a restore that fails": {
			run: func(w *world) {
				w.fail["stage"] = permanent("AuthFailed", "refused", "")
				w.env.ExecuteWorkflow(workflows.Restore, input())
			},
			short: []string{contract.DiscardRestore.Name, contract.FinishExecution.Name},
			long:  []string{contract.CheckTarget.Name, contract.CheckArchive.Name, contract.StageRestore.Name},
		},
		"a look at files": {
			run: func(w *world) {
				contract.ListFolder.Register(w.env, func(context.Context, contract.FolderInput) (contract.FolderPart, error) {
					return contract.FolderPart{}, nil
				})
				w.env.ExecuteWorkflow(workflows.ListFiles, contract.FolderInput{})
			},
			short: []string{contract.ListFolder.Name},
		},
		"a deletion of files": {
			run: func(w *world) {
				contract.DeleteObjects.Register(w.env, func(context.Context, contract.DeleteFilesInput) (contract.FilesChanged, error) {
					return contract.FilesChanged{}, nil
				})
				w.env.ExecuteWorkflow(workflows.DeleteFiles, contract.DeleteFilesInput{})
			},
			short: []string{contract.DeleteObjects.Name},
		},
		"a test of a storage location": {
			run: func(w *world) {
				contract.ProbeStorage.Register(w.env, func(context.Context, contract.CheckInput) (contract.CheckResult, error) {
					return contract.CheckResult{}, nil
				})
				w.env.ExecuteWorkflow(workflows.CheckStorage, contract.CheckInput{ID: "disk"})
			},
			short: []string{contract.ProbeStorage.Name},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			queues := map[bool][]string{}
			w.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				isShort := strings.HasSuffix(info.TaskQueue, ".short")
				queues[isShort] = append(queues[isShort], info.ActivityType.Name)
			})
			c.run(w)
			require.Equal(t, c.short, queues[true])
			require.Equal(t, c.long, queues[false])
		})
	}
}
