package workflows_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/workflows"
)

// tidying stands in for the activities of the retention, and for the deletions that it starts.
type tidying struct {
	env      *testsuite.TestWorkflowEnvironment
	expired  []string // what each look marks: the ids of one batch
	stuck    map[string]bool
	removed  []string
	queues   []string
	kept     int
	would    []string
	finished []contract.FinishRetentionInput
	gone     bool
}

func newTidying(t *testing.T) *tidying {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	r := &tidying{env: suite.NewTestWorkflowEnvironment(), stuck: map[string]bool{}, kept: 3}
	contract.ExpireBackups.Register(r.env, func(context.Context, contract.ExpireInput) (contract.Expiry, error) {
		out := contract.Expiry{Kept: r.kept, WouldRemove: r.would, Gone: r.gone}
		for _, id := range r.expired[:min(2, len(r.expired))] {
			out.Expired = append(out.Expired, contract.Expired{ExecutionID: id, Pool: "edge", Labels: contract.Labels{Job: "nightly"}})
		}
		return out, nil
	})
	contract.FinishRetention.Register(r.env, func(_ context.Context, in contract.FinishRetentionInput) (contract.Nothing, error) {
		r.finished = append(r.finished, in)
		return contract.Nothing{}, nil
	})
	contract.DeleteBackup.Register(r.env, func(ctx workflow.Context, in contract.ExecutionInput) (contract.DeleteResult, error) {
		r.queues = append(r.queues, workflow.GetInfo(ctx).TaskQueueName)
		if r.stuck[in.ExecutionID] {
			return contract.DeleteResult{}, permanent("Unreachable", "the disk is away", "")
		}
		r.removed = append(r.removed, in.ExecutionID)
		for i, id := range r.expired {
			if id == in.ExecutionID {
				r.expired = append(r.expired[:i], r.expired[i+1:]...)
				break
			}
		}
		return contract.DeleteResult{Objects: 2, Bytes: 100}, nil
	})
	return r
}

func (r *tidying) run(t *testing.T, in contract.RetentionInput) (done contract.RetentionDone) {
	t.Helper()
	in.JobID, in.Labels = "j1", contract.Labels{Job: "nightly"}
	r.env.ExecuteWorkflow(workflows.ApplyRetention, in)
	require.NoError(t, r.env.GetWorkflowError())
	require.NoError(t, r.env.GetWorkflowResult(&done))
	return done
}

func TestRetentionGoesOnUntilNothingIsLeftToRemove(t *testing.T) {
	r := newTidying(t)
	for i := range 5 {
		r.expired = append(r.expired, fmt.Sprintf("e%d", i))
	}
	done := r.run(t, contract.RetentionInput{})
	require.Equal(t, []string{"e0", "e1", "e2", "e3", "e4"}, r.removed)
	require.Equal(t, 5, done.Removed)
	require.Equal(t, int64(500), done.Bytes)
	require.Equal(t, "dataguardian.edge", r.queues[0], "a worker that reaches the storage location")
	require.Len(t, r.finished, 1)
	require.Equal(t, 3, r.finished[0].Kept)
	require.NotEmpty(t, r.finished[0].Done.RunID)
}

func TestABackupThatCanNotBeRemovedIsLeftToTheNextRun(t *testing.T) {
	r := newTidying(t)
	r.expired, r.stuck["e0"] = []string{"e0", "e1", "e2"}, true
	done := r.run(t, contract.RetentionInput{})
	require.Equal(t, []string{"e1", "e2"}, r.removed)
	require.Equal(t, []string{"e0"}, done.Failed)
	require.Equal(t, done, r.finished[0].Done)
}

func TestRetentionThatRemovesNothingIsRecordedAllTheSame(t *testing.T) {
	r := newTidying(t)
	r.would = []string{"e9"}
	require.Zero(t, r.run(t, contract.RetentionInput{}).Removed)
	require.Equal(t, []string{"e9"}, r.finished[0].WouldRemove)
}

func TestRetentionOfAJobThatIsGoneEnds(t *testing.T) {
	r := newTidying(t)
	r.gone = true
	r.run(t, contract.RetentionInput{})
	require.Empty(t, r.finished)
}

func TestANewRunGoesOnCounting(t *testing.T) {
	r := newTidying(t)
	r.expired = []string{"e5"}
	done := r.run(t, contract.RetentionInput{Done: contract.RetentionDone{RunID: "first", Removed: 5, Bytes: 500, Failed: []string{"e1"}}})
	require.Equal(t, contract.RetentionDone{RunID: "first", Removed: 6, Bytes: 600, Failed: []string{"e1"}}, done)
}

func TestABackupStartsTheRetentionOfItsJobAndDoesNotWaitForIt(t *testing.T) {
	w := newWorld(t)
	w.plan.RetentionJobID = "j1"
	var started []contract.RetentionInput
	contract.ApplyRetention.Register(w.env, func(ctx workflow.Context, in contract.RetentionInput) (contract.RetentionDone, error) {
		started = append(started, in)
		return contract.RetentionDone{}, workflow.Sleep(ctx, 24*time.Hour)
	})
	begun := w.env.Now()
	w.env.ExecuteWorkflow(workflows.Backup, contract.ExecutionInput{ExecutionID: "e1", Labels: contract.Labels{Job: "nightly"}})
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []contract.RetentionInput{{JobID: "j1", Labels: contract.Labels{Job: "nightly"}}}, started)
	require.Less(t, w.env.Now().Sub(begun), time.Hour)
}

func TestAFailedBackupStartsNoRetention(t *testing.T) {
	w := newWorld(t)
	w.plan.RetentionJobID = "j1"
	w.fail["dump"] = permanent("AuthFailed", "wrong password", "")
	contract.ApplyRetention.Register(w.env, func(workflow.Context, contract.RetentionInput) (contract.RetentionDone, error) {
		t.Error("retention after a failed backup")
		return contract.RetentionDone{}, nil
	})
	w.env.ExecuteWorkflow(workflows.Backup, contract.ExecutionInput{ExecutionID: "e1"})
	require.Error(t, w.env.GetWorkflowError())
}
