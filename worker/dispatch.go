package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
)

const (
	// dispatchEvery is how often it is looked for notifications without being told of one.
	dispatchEvery = time.Minute
	// dispatchTimeout bounds one look.
	dispatchTimeout = 30 * time.Second
)

// dispatcher makes the deliveries of new notifications, and keeps the workflows running that bring them. Each
// worker process has one; what they do together is done once (db.DispatchNotifications, the workflows' ids).
type dispatcher struct {
	db       *db.DB
	temporal client.Client
	log      *slog.Logger
}

// run works until ctx ends: at once, when Postgres tells of a new notification, and every minute.
func (d *dispatcher) run(ctx context.Context) {
	ticker := time.NewTicker(dispatchEvery)
	defer ticker.Stop()
	woken := d.listen(ctx)
	for {
		if err := d.dispatch(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("notifications wait: they could not be handed to Temporal", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if woken == nil {
				woken = d.listen(ctx)
			}
		case _, open := <-woken:
			if !open {
				woken = nil
			}
			drain(woken)
		}
	}
}

// listen is nil where Postgres can not be asked to tell: then the ticker has to do.
func (d *dispatcher) listen(ctx context.Context) <-chan string {
	woken, err := d.db.ListenNotifications(ctx)
	if err != nil && ctx.Err() == nil {
		d.log.Warn("not told of new notifications; they are looked for every minute", "error", err)
	}
	return woken
}

// drain takes what came together: one look sees all of it.
func drain(woken <-chan string) {
	for {
		select {
		case _, open := <-woken:
			if !open {
				return
			}
		default:
			return
		}
	}
}

func (d *dispatcher) dispatch(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, dispatchTimeout)
	defer stop()
	_, failed := d.db.DispatchNotifications(ctx) // which is no reason to leave alone what waits already
	channels, heartbeats, err := d.db.OpenDeliveries(ctx)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, id := range channels {
		failed = errors.Join(failed, d.startNotify(ctx, id))
	}
	for _, id := range heartbeats {
		failed = errors.Join(failed, d.startHeartbeat(ctx, id))
	}
	return failed
}

// startNotify starts what sends to a channel, or wakes it. The signal goes with the start: a workflow that is
// about to end sees it, and looks once more.
func (d *dispatcher) startNotify(ctx context.Context, channelID string) error {
	name, err := d.db.ChannelName(ctx, channelID)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	id := contract.NotifyWorkflowID(channelID)
	_, err = d.temporal.SignalWithStartWorkflow(ctx, id, contract.WakeSignal, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.SystemTaskQueue, StaticSummary: "Notify " + name,
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("notify")),
	}, contract.Notify.Name, contract.ChannelRef{ChannelID: channelID, Name: name})
	return err
}

func (d *dispatcher) startHeartbeat(ctx context.Context, deliveryID string) error {
	_, err := contract.PingHeartbeat.Start(ctx, d.temporal, client.StartWorkflowOptions{
		ID: contract.HeartbeatWorkflowID(deliveryID), TaskQueue: contract.SystemTaskQueue, StaticSummary: "Ping a heartbeat",
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("heartbeat")),
	}, contract.DeliveryRef{DeliveryID: deliveryID})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil
	}
	return err
}
