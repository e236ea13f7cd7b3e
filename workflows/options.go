package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
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
	// localPatience is well below the time that a workflow task has.
	localPatience = 3 * time.Second
	offerLimit    = 5 * time.Second
	// upkeepPatience bounds one step: the next run begins before long.
	upkeepPatience = 30 * time.Minute
	// noWorkerAfter is how long a pool's check may wait for a worker before the pool counts as served by nobody.
	noWorkerAfter = time.Minute
	// poolCheckLimit bounds the check of one pool: some hundred servers that all answer nothing.
	poolCheckLimit = 10 * time.Minute
	// deliverLimit is for one attempt: a message to each of fifty numbers, each with a time limit of its own. What it
	// does not get done the next attempt goes on with.
	deliverLimit = 10 * time.Minute
	// deliverHeartbeat notices a lost worker.
	deliverHeartbeat = 15 * time.Second
	// heartbeatPatience is how long a heartbeat is tried: later it would tell of an old backup.
	heartbeatPatience = time.Hour
	sampleLimit       = 50 * time.Second
	// A million files are copied, deleted or read within a day.
	filesLimit    = 24 * time.Hour
	filesPatience = 48 * time.Hour
)

// shortQueue is for what moves no data: it does not wait for a slot behind backups, which may take hours.
func shortQueue(ctx workflow.Context) string {
	return contract.ShortTaskQueue(workflow.GetInfo(ctx).TaskQueueName)
}

func (e *execution) record(ctx workflow.Context, summary string) workflow.Context {
	return records(ctx, summary)
}

func (e *execution) short(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:                summary,
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: shortPatience,
		HeartbeatTimeout:       e.heartbeat(),
		WaitForCancellation:    true,
		RetryPolicy:            backoff(e.plan.Attempts),
	})
}

func (e *execution) cleanup(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    cleanupPatience,
		ScheduleToCloseTimeout: cleanupPatience,
		HeartbeatTimeout:       e.heartbeat(),
		RetryPolicy:            backoff(e.plan.Attempts),
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
		RetryPolicy:            backoff(0),
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
		RetryPolicy:            backoff(2),
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
		RetryPolicy:            backoff(tries(e.plan.Attempts)),
	})
}

// tries leaves the counting to the activity: a worker that stops hands its work back, which is an attempt
// for Temporal, but no try that failed.
func tries(most int32) int32 {
	if most == 0 {
		return 0
	}
	return most + contract.Handovers
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

// backoff goes from one second to one minute; attempts 0 goes on as long as the activity's schedule-to-close
// timeout allows.
func backoff(attempts int32) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:    time.Second,
		BackoffCoefficient: 2,
		MaximumInterval:    time.Minute,
		MaximumAttempts:    attempts,
	}
}

// probe: a test that fails is a result. Only a lost worker or database is tried again, and not for
// long: somebody waits for the answer.
func probe(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    45 * time.Second,
		ScheduleToCloseTimeout: 2 * time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	})
}

// fileWork goes on for as long as it takes: there may be a million files.
func fileWork(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    filesLimit,
		ScheduleToCloseTimeout: filesPatience,
		HeartbeatTimeout:       waits().Silence,
		WaitForCancellation:    true,
		RetryPolicy:            backoff(tries(5)),
	})
}

// reading is for the import of a storage location, which reads each of its manifests.
func reading(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:                summary,
		StartToCloseTimeout:    filesLimit,
		ScheduleToCloseTimeout: filesPatience,
		HeartbeatTimeout:       waits().Silence,
		WaitForCancellation:    true,
		RetryPolicy:            backoff(tries(10)),
	})
}

func upkeep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    upkeepPatience,
		ScheduleToCloseTimeout: upkeepPatience,
		HeartbeatTimeout:       waits().Silence,
		RetryPolicy:            backoff(5),
	})
}

// poolCheck is for the check of one pool by one of its workers. The next run is soon: nothing is tried again.
func poolCheck(ctx workflow.Context, pool string, kind domain.CheckedKind) workflow.Context {
	what := "datasources"
	if kind == domain.CheckedStorage {
		what = "storage locations"
	}
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.ShortTaskQueue(contract.TaskQueue(pool)),
		Summary:                "Check the " + what + " of pool " + pool,
		ScheduleToStartTimeout: waits().NoWorker,
		StartToCloseTimeout:    poolCheckLimit,
		ScheduleToCloseTimeout: waits().NoWorker + poolCheckLimit,
		HeartbeatTimeout:       waits().Silence,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

func brief(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    briefPatience,
		ScheduleToCloseTimeout: shortPatience,
		HeartbeatTimeout:       waits().Silence,
		RetryPolicy:            backoff(0),
	})
}

// records are statements in the catalogue, which wait out an outage of it.
func records(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              shortQueue(ctx),
		Summary:                summary,
		StartToCloseTimeout:    30 * time.Second,
		ScheduleToCloseTimeout: recordPatience,
		RetryPolicy:            backoff(0),
	})
}

// delivery tries one message for so long. Whoever is cancelled waits for what is on its way: the next run would send it
// at the same time.
func delivery(ctx workflow.Context, summary string, retryFor time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.DeliveryTaskQueue,
		Summary:                summary,
		StartToCloseTimeout:    min(retryFor, deliverLimit),
		ScheduleToCloseTimeout: retryFor,
		HeartbeatTimeout:       deliverHeartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
	})
}

// sample is not tried again: it may have arrived.
func sample(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.DeliveryTaskQueue,
		Summary:                summary,
		StartToCloseTimeout:    sampleLimit,
		ScheduleToCloseTimeout: sampleLimit,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// once is for what runs where the workflow does, within its task.
func once(ctx workflow.Context, limit time.Duration, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		Summary:                summary,
		StartToCloseTimeout:    limit,
		ScheduleToCloseTimeout: limit,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}
