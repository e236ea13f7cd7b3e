package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// withPolicy tells activities their retry policy, as the server does and the test environment does not.
type withPolicy struct {
	interceptor.WorkerInterceptorBase
	most int32
}

func (w *withPolicy) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	in := &policyIn{most: w.most}
	in.Next = next
	return in
}

type policyIn struct {
	interceptor.ActivityInboundInterceptorBase
	most int32
}

func (i *policyIn) Init(next interceptor.ActivityOutboundInterceptor) error {
	out := &policyOut{most: i.most}
	out.Next = next
	return i.Next.Init(out)
}

type policyOut struct {
	interceptor.ActivityOutboundInterceptorBase
	most int32
}

func (o *policyOut) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	info.RetryPolicy = &temporal.RetryPolicy{MaximumAttempts: o.most}
	return info
}

// tried runs an activity as long steps are run, with the given number of tries. step is told the attempt.
func tried(t *testing.T, most int32, step func(ctx context.Context, attempt int32) error) (attempts int32, err error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{
		DeadlockDetectionTimeout: time.Minute, // a busy machine is no deadlock
		Interceptors:             []interceptor.WorkerInterceptor{&withPolicy{most: most + contract.Handovers}},
	})
	env.RegisterActivityWithOptions(func(ctx context.Context) error {
		attempts = activity.GetInfo(ctx).Attempt
		ctx, stop := untilWorkerStops(ctx)
		defer stop()
		if ctx.Err() != nil {
			return toTemporal(ctx, ctx.Err())
		}
		beat(ctx, "half way")
		return step(ctx, attempts)
	}, activity.RegisterOptions{Name: "step"})
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Hour, ScheduleToCloseTimeout: 1000 * time.Hour,
			RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: most + contract.Handovers},
		})
		return workflow.ExecuteActivity(ctx, "step").Get(ctx, nil)
	})
	require.True(t, env.IsWorkflowCompleted())
	return attempts, env.GetWorkflowError()
}

// stopped is what an attempt returns on a worker that is asked to stop.
func stopped(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	cancel(errWorkerStopping)
	return toTemporal(ctx, ctx.Err())
}

func TestNoNumberOfRestartsOfWorkersCostsATry(t *testing.T) {
	attempts, err := tried(t, 3, func(ctx context.Context, attempt int32) error {
		var state string
		if attempt > 1 {
			require.NoError(t, activity.GetHeartbeatDetails(ctx, &state))
			require.Equal(t, "half way", state, "what the attempt before knew is there")
		}
		switch {
		case attempt == 5 || attempt == 17:
			return toTemporal(ctx, errors.New("a real failure"))
		case attempt <= 20:
			return stopped(ctx)
		}
		require.EqualValues(t, 3, tries(ctx))
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 21, attempts)
}

func TestRealFailuresAreCountedAmongRestarts(t *testing.T) {
	attempts, err := tried(t, 3, func(ctx context.Context, attempt int32) error {
		if attempt%2 == 1 {
			return stopped(ctx)
		}
		return toTemporal(ctx, failure.New(failure.Unreachable, "dump", "no route", ""))
	})
	require.ErrorContains(t, err, "no route")
	require.EqualValues(t, 6, attempts)
}

func TestWorkThatEndsItsWorkersIsGivenUp(t *testing.T) {
	attempts, err := tried(t, 3, func(context.Context, int32) error {
		return errors.New("the worker is gone, and could not say so") // as the heartbeat's timeout does, it counts
	})
	require.ErrorContains(t, err, "3 workers were lost")
	require.EqualValues(t, 4, attempts)
}

// A panic says nothing to Temporal but that it may be tried again: it is counted when the next attempt begins.
func TestAStepThatPanicsIsNotTriedForEver(t *testing.T) {
	attempts, err := tried(t, 3, func(context.Context, int32) error { panic("a defect") })
	require.ErrorContains(t, err, "broke off without a word")
	require.EqualValues(t, 4, attempts, "the fourth ends before it begins")
}
