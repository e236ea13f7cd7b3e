package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// messagesPerRun bounds the history of one run.
const messagesPerRun = 200

// Notify sends to one channel what waits for it, one message after the other, each an activity of its own that
// is tried until it succeeds, can not succeed or has been tried for so long that others have their turn first. Meanwhile
// others gather and become one message. It ends when nothing waits; who adds something starts it again, or wakes it with a signal.
func Notify(ctx workflow.Context, in contract.ChannelRef) (contract.NotifyResult, error) {
	n := notifier{in: in, wake: workflow.GetSignalChannel(ctx, contract.WakeSignal)}
	return n.run(ctx)
}

type notifier struct {
	in     contract.ChannelRef
	wake   workflow.ReceiveChannel
	result contract.NotifyResult
}

func (n *notifier) run(ctx workflow.Context) (contract.NotifyResult, error) {
	for range messagesPerRun {
		for n.wake.ReceiveAsync(nil) { // what it tells of is seen now
		}
		next, err := contract.ChooseDelivery.Execute(records(ctx, "Choose the next message to "+n.in.Name), n.in)
		switch {
		case err != nil:
			return n.result, err
		case next.DeliveryID != "":
			ended, err := deliver(ctx, contract.DeliveryRef{DeliveryID: next.DeliveryID}, time.Duration(next.RetrySeconds)*time.Second, "Send to "+n.in.Name)
			if err != nil {
				return n.result, err
			}
			n.count(ended)
		case next.WaitMS > 0:
			if err := n.wait(ctx, time.Duration(next.WaitMS)*time.Millisecond); err != nil {
				return n.result, err
			}
		case n.wake.Len() == 0:
			return n.result, nil
		}
	}
	return n.result, workflow.NewContinueAsNewError(ctx, contract.Notify.Name, n.in)
}

func (n *notifier) count(ended contract.Delivered) {
	switch ended.Status {
	case domain.DeliverySent:
		n.result.Sent++
	case domain.DeliveryFailed:
		n.result.Failed++
	}
}

// wait ends early when something new waits: it may be more urgent.
func (n *notifier) wait(ctx workflow.Context, d time.Duration) error {
	_, err := workflow.AwaitWithTimeout(ctx, d, func() bool { return n.wake.Len() > 0 })
	return err
}

// PingHeartbeat makes the GET that follows a completed backup.
func PingHeartbeat(ctx workflow.Context, in contract.DeliveryRef) (contract.Delivered, error) {
	return deliver(ctx, in, heartbeatPatience, "Ping the heartbeat")
}

// TestChannel sends a sample through the real channel.
func TestChannel(ctx workflow.Context, in contract.ChannelRef) (contract.ChannelTestResult, error) {
	return contract.SendSample.Execute(sample(ctx, "Send a sample to "+in.Name), in)
}

// deliver tries one message for so long, and then gives it up for now, or for good.
func deliver(ctx workflow.Context, ref contract.DeliveryRef, retryFor time.Duration, summary string) (contract.Delivered, error) {
	ended, err := contract.Deliver.Execute(delivery(ctx, summary, retryFor), ref)
	if err == nil || temporal.IsCanceledError(err) {
		return ended, err
	}
	return contract.GiveUpDelivery.Execute(records(ctx, "Record that it was given up"), contract.GiveUpInput{
		DeliveryID: ref.DeliveryID, Message: outcome(err).Message,
	})
}
