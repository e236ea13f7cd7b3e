package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/workflows"
)

// watcher notes what the Temporal web UI shows of a run: the summary of each activity, and the current details
// at the time.
type watcher struct {
	interceptor.WorkerInterceptorBase
	shown []string
}

func watch(env *testsuite.TestWorkflowEnvironment) *watcher {
	w := &watcher{}
	env.SetWorkerOptions(sdk.Options{Interceptors: []interceptor.WorkerInterceptor{w}})
	return w
}

func (w *watcher) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &watchedIn{w: w}
	in.Next = next
	return in
}

type watchedIn struct {
	interceptor.WorkflowInboundInterceptorBase
	w *watcher
}

func (i *watchedIn) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &watchedOut{w: i.w}
	out.Next = next
	return i.Next.Init(out)
}

type watchedOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	w *watcher
}

func (o *watchedOut) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o.w.shown = append(o.w.shown, workflow.GetActivityOptions(ctx).Summary+" | "+workflow.GetCurrentDetails(ctx))
	return o.Next.ExecuteActivity(ctx, name, args...)
}

func details(phase, text string) string {
	return "**" + phase + "**: " + text + "\n\n- datasource: orders\n- storage: disk\n- execution: `e1`"
}

func TestTheWebUIShowsWhatABackupIsDoing(t *testing.T) {
	w := newWorld(t)
	seen := watch(w.env)
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.NoError(t, w.env.GetWorkflowError())
	require.Equal(t, []string{
		"Dump orders | " + details("dumping", "Dumping orders to disk"),
		"Verify the backup, full | " + details("verifying", "Verifying the backup (full)"),
	}, seen.shown, "its records are local activities")
}

func TestTheWebUIShowsWhyABackupFailed(t *testing.T) {
	w := newWorld(t)
	w.fail["dump"] = permanent("AuthFailed", "the server refuses the password", "")
	seen := watch(w.env)
	w.env.ExecuteWorkflow(workflows.Backup, input())
	require.Error(t, w.env.GetWorkflowError())
	why := details("cleaning", "Cleaning up after: the server refuses the password")
	require.Equal(t, []string{
		"Dump orders | " + details("dumping", "Dumping orders to disk"),
		"Remove what the backup stored | " + why,
		"Record the reason | " + why,
	}, seen.shown)
}
