// Package contract is what the API, the workflows and the activities agree on: names, inputs and
// results, ids and task queues. A handle carries its types, so that calling a workflow or an
// activity with the wrong input, or reading the wrong result, does not compile.
package contract

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Activity is a typed handle: Execute on the workflow's side, Register on the worker's.
type Activity[In, Out any] struct{ Name string }

// Execute runs the activity and waits for its result.
func (a Activity[In, Out]) Execute(ctx workflow.Context, in In) (Out, error) {
	var out Out
	err := workflow.ExecuteActivity(ctx, a.Name, in).Get(ctx, &out)
	return out, err
}

// ExecuteLocal runs the activity in the worker that runs the workflow, without a trip through the
// server, and waits for its result. For short work only.
func (a Activity[In, Out]) ExecuteLocal(ctx workflow.Context, in In) (Out, error) {
	var out Out
	err := workflow.ExecuteLocalActivity(ctx, a.Name, in).Get(ctx, &out)
	return out, err
}

// Register makes fn the implementation that w runs for this activity.
func (a Activity[In, Out]) Register(w worker.ActivityRegistry, fn func(context.Context, In) (Out, error)) {
	w.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: a.Name})
}

// Workflow is a typed handle: Start on the API's side, Register on the worker's.
type Workflow[In, Out any] struct{ Name string }

// Start starts the workflow and does not wait for it.
func (w Workflow[In, Out]) Start(ctx context.Context, c client.Client, opts client.StartWorkflowOptions, in In) (client.WorkflowRun, error) {
	return c.ExecuteWorkflow(ctx, opts, w.Name, in)
}

// Run starts the workflow and waits for its result, as long as ctx allows.
func (w Workflow[In, Out]) Run(ctx context.Context, c client.Client, opts client.StartWorkflowOptions, in In) (Out, error) {
	var out Out
	run, err := w.Start(ctx, c, opts, in)
	if err != nil {
		return out, err
	}
	err = run.Get(ctx, &out)
	return out, err
}

// ExecuteChild runs the workflow as a child of the calling one and waits for its result. What else the
// child gets (id, task queue, policies) is in ctx.
func (w Workflow[In, Out]) ExecuteChild(ctx workflow.Context, in In) (Out, error) {
	var out Out
	err := workflow.ExecuteChildWorkflow(ctx, w.Name, in).Get(ctx, &out)
	return out, err
}

// Register makes fn the implementation that r runs for this workflow.
func (w Workflow[In, Out]) Register(r worker.WorkflowRegistry, fn func(workflow.Context, In) (Out, error)) {
	r.RegisterWorkflowWithOptions(fn, workflow.RegisterOptions{Name: w.Name})
}
