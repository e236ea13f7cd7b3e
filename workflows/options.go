package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
)

// All time limits and retry policies of executions are in this file. Errors that trying again can
// not mend are marked as such by the activities, so no policy lists them.
const (
	// A lost worker is noticed after this long without a heartbeat.
	heartbeatTimeout = 45 * time.Second
	// Recording is short work that waits out an outage of Postgres rather than lose a result.
	recordPatience = 7 * 24 * time.Hour
	// Cleaning up holds the row open, and with it the job; what can not be removed by then is
	// reported as left over.
	cleanupPatience = 10 * time.Minute
	shortPatience   = 15 * time.Minute
	// Who waits for a place looks for one itself after the first pause, and then less and less often: it is told.
	firstPause    = 30 * time.Second
	longestPause  = 10 * time.Minute
	briefPatience = 2 * time.Minute
)

// shortQueue is for what moves no data: it does not wait for a slot behind backups, which may take hours.
func shortQueue(ctx workflow.Context) string {
	return contract.ShortTaskQueue(workflow.GetInfo(ctx).TaskQueueName)
}

func (e *execution) record(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    30 * time.Second,
		ScheduleToCloseTimeout: recordPatience,
		RetryPolicy:            e.retry(0),
	})
}

func (e *execution) short(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:                summary,
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: shortPatience,
		HeartbeatTimeout:       e.heartbeat(),
		WaitForCancellation:    true,
		RetryPolicy:            e.retry(e.plan.Attempts),
	})
}

func (e *execution) cleanup(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    cleanupPatience,
		ScheduleToCloseTimeout: cleanupPatience,
		HeartbeatTimeout:       e.heartbeat(),
		RetryPolicy:            e.retry(e.plan.Attempts),
	})
}

// patiently is for a clean-up that nobody waits for: the server may be away for days.
func (e *execution) patiently(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    cleanupPatience,
		ScheduleToCloseTimeout: recordPatience,
		HeartbeatTimeout:       e.heartbeat(),
		RetryPolicy:            e.retry(0),
	})
}

// briefly is for a clean-up that others wait for, at a place that has just failed.
func (e *execution) briefly(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    briefPatience,
		ScheduleToCloseTimeout: briefPatience,
		HeartbeatTimeout:       e.heartbeat(),
		RetryPolicy:            e.retry(2),
	})
}

// long is for the steps that move the data. A step that is cancelled is waited for: its child
// processes have ended when it returns.
func (e *execution) long(ctx workflow.Context, summary string) workflow.Context {
	limit := e.limit()
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:                summary,
		StartToCloseTimeout:    limit,
		ScheduleToCloseTimeout: limit,
		HeartbeatTimeout:       e.heartbeat(),
		WaitForCancellation:    true,
		RetryPolicy:            e.retry(e.plan.Attempts),
	})
}

// limit is how long a step that moves the data may take.
func (e *execution) limit() time.Duration {
	return time.Duration(e.plan.TimeoutMinutes)*time.Minute - e.spent
}

func (e *execution) heartbeat() time.Duration {
	if e.plan.HeartbeatSeconds > 0 {
		return time.Duration(e.plan.HeartbeatSeconds) * time.Second
	}
	return waits().Silence
}

// retry backs off from one second to one minute; attempts 0 goes on as long as the activity's
// schedule-to-close timeout allows.
func (e *execution) retry(attempts int32) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:    time.Second,
		BackoffCoefficient: 2,
		MaximumInterval:    time.Minute,
		MaximumAttempts:    attempts,
	}
}
