package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/workflows"
)

// desk plays the catalogue and the channel of a Notify workflow.
type desk struct {
	env     *testsuite.TestWorkflowEnvironment
	next    []contract.NextDelivery // answers of ChooseDelivery in turn; nothing waits after them
	asked   int
	deliver func(id string, attempt int) error
	tries   map[string]int
	givenUp []contract.GiveUpInput
	queues  []string              // of the attempts
	ends    domain.DeliveryStatus // what giving up makes of a delivery
}

func newDesk(next ...contract.NextDelivery) *desk {
	d := &desk{next: next, tries: map[string]int{}, ends: domain.DeliveryFailed, deliver: func(string, int) error { return nil }}
	var suite testsuite.WorkflowTestSuite
	d.env = suite.NewTestWorkflowEnvironment()
	contract.ChooseDelivery.Register(d.env, func(context.Context, contract.ChannelRef) (contract.NextDelivery, error) {
		d.asked++
		if d.asked > len(d.next) {
			return contract.NextDelivery{}, nil
		}
		return d.next[d.asked-1], nil
	})
	contract.Deliver.Register(d.env, func(ctx context.Context, in contract.DeliveryRef) (contract.Delivered, error) {
		d.queues = append(d.queues, activity.GetInfo(ctx).TaskQueue)
		d.tries[in.DeliveryID]++
		return contract.Delivered{Status: domain.DeliverySent}, d.deliver(in.DeliveryID, d.tries[in.DeliveryID])
	})
	contract.GiveUpDelivery.Register(d.env, func(_ context.Context, in contract.GiveUpInput) (contract.Delivered, error) {
		d.givenUp = append(d.givenUp, in)
		return contract.Delivered{Status: d.ends}, nil
	})
	return d
}

func (d *desk) run(t *testing.T) (contract.NotifyResult, error) {
	t.Helper()
	d.env.ExecuteWorkflow(workflows.Notify, contract.ChannelRef{ChannelID: "channel-1", Name: "ops"})
	require.True(t, d.env.IsWorkflowCompleted())
	if err := d.env.GetWorkflowError(); err != nil {
		return contract.NotifyResult{}, err
	}
	var result contract.NotifyResult
	require.NoError(t, d.env.GetWorkflowResult(&result))
	return result, nil
}

func sending(id string) contract.NextDelivery {
	return contract.NextDelivery{DeliveryID: id, RetrySeconds: 6 * 3600}
}

func TestWhatWaitsIsSentOneAfterTheOtherAndTriedAgain(t *testing.T) {
	d := newDesk(sending("one"), sending("two"))
	d.deliver = func(id string, attempt int) error {
		if id == "one" && attempt < 3 {
			return temporal.NewApplicationErrorWithOptions("503", "Unreachable", temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})
		}
		return nil
	}
	result, err := d.run(t)
	require.NoError(t, err)
	require.Equal(t, contract.NotifyResult{Sent: 2}, result)
	require.Equal(t, map[string]int{"one": 3, "two": 1}, d.tries)
	for _, queue := range d.queues {
		require.Equal(t, contract.DeliveryTaskQueue, queue, "not that of backups and upkeep: other people's servers may be silent")
	}
}

func TestADeliveryThatNeverSucceedsIsGivenUpAndTheNextOneGoesOn(t *testing.T) {
	d := newDesk(sending("dead"), sending("good"))
	d.deliver = func(id string, _ int) error {
		if id == "dead" {
			return temporal.NewApplicationError("no route", "Unreachable")
		}
		return nil
	}
	result, err := d.run(t)
	require.NoError(t, err)
	require.Equal(t, contract.NotifyResult{Sent: 1, Failed: 1}, result)
	require.Len(t, d.givenUp, 1)
	require.Equal(t, "dead", d.givenUp[0].DeliveryID)
	require.Contains(t, d.givenUp[0].Message, "no route")
	require.Equal(t, 10, d.tries["dead"], "the test environment's own limit; a server knows the time only")
}

// What is tried in vain holds nothing up for longer than a round, and is tried again after the others.
func TestADeliveryThatWaitsForAnotherRoundLetsTheNextOneGoOn(t *testing.T) {
	d := newDesk(contract.NextDelivery{DeliveryID: "poison", RetrySeconds: 600}, sending("good"), contract.NextDelivery{DeliveryID: "poison", RetrySeconds: 120})
	d.ends = domain.DeliveryPending
	d.deliver = func(id string, _ int) error {
		if id == "poison" && len(d.givenUp) == 0 {
			return temporal.NewApplicationError("500", "Unreachable")
		}
		return nil
	}
	started := d.env.Now()
	result, err := d.run(t)
	require.NoError(t, err)
	require.Equal(t, contract.NotifyResult{Sent: 2}, result, "a round that ended is neither")
	require.Len(t, d.givenUp, 1)
	require.Less(t, d.env.Now().Sub(started), 21*time.Minute)
}

func TestAWaitEndsEarlyWhenSomethingNewWaits(t *testing.T) {
	d := newDesk(contract.NextDelivery{WaitMS: (8 * time.Hour).Milliseconds()}, sending("urgent"))
	started := d.env.Now()
	d.env.RegisterDelayedCallback(func() { d.env.SignalWorkflow(contract.WakeSignal, nil) }, time.Minute)
	result, err := d.run(t)
	require.NoError(t, err)
	require.Equal(t, 1, result.Sent)
	require.Less(t, d.env.Now().Sub(started), time.Hour)
}

func TestALongRunContinuesAsNew(t *testing.T) {
	var many []contract.NextDelivery
	for range 1000 {
		many = append(many, sending("x"))
	}
	_, err := newDesk(many...).run(t)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &again)
}
