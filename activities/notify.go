package activities

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/channels"
)

// deliverPulse is how often a delivery heartbeats.
const deliverPulse = 2 * time.Second

// ChooseDelivery takes what a channel is sent next.
func (a *Activities) ChooseDelivery(ctx context.Context, in contract.ChannelRef) (contract.NextDelivery, error) {
	next, err := a.DB.NextDelivery(ctx, in.ChannelID)
	if err != nil {
		return contract.NextDelivery{}, toTemporal(ctx, err)
	}
	out := contract.NextDelivery{DeliveryID: next.ID, RetrySeconds: int64(next.RetryFor / time.Second)}
	if next.Wait > 0 {
		out.WaitMS = next.Wait.Milliseconds() + 1
	}
	return out, nil
}

// Deliver sends one message, to every recipient that has not got it. What can not succeed ends the delivery as
// failed; everything else is an error that is tried again, with the same id for the receivers: a worker that
// dies between the server's answer and the record of it sends a second time.
func (a *Activities) Deliver(ctx context.Context, in contract.DeliveryRef) (contract.Delivered, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	claimed, err := a.DB.ClaimDelivery(ctx, in.DeliveryID)
	if errors.Is(err, db.ErrNotFound) { // an earlier attempt has ended it, or its notification was deleted
		return a.endOfDelivery(ctx, in.DeliveryID)
	}
	if err != nil {
		return contract.Delivered{}, toTemporal(ctx, err)
	}
	a.at("notify.claimed")
	beat := startPulse(ctx, deliverPulse, struct{}{})
	defer beat.stop()
	end, secrets, err := a.deliver(ctx, claimed)
	if err != nil && ctx.Err() != nil {
		return contract.Delivered{}, toTemporal(ctx, ctx.Err())
	}
	end.Answer = failure.Redact(end.Answer, secrets...)
	end.Message = failure.Redact(end.Message, secrets...)
	if err != nil {
		end.Message = withNote(failure.Redact(failure.Message(err), secrets...), end.Message)
		if !failure.IsPermanent(failure.ClassOf(err)) {
			return contract.Delivered{}, a.tryAgain(ctx, in.DeliveryID, end.Message, err)
		}
		end.Status = domain.DeliveryFailed
	}
	if end.Status == domain.DeliveryFailed {
		a.Logger.Warn("a notification could not be delivered", "delivery", in.DeliveryID, "channel", claimed.ChannelName, "error", end.Message)
	}
	recording, recorded := a.recording(ctx)
	defer recorded()
	if err := a.DB.FinishDelivery(recording, in.DeliveryID, end); err != nil {
		return contract.Delivered{}, toTemporal(ctx, err)
	}
	a.at("notify.delivered")
	return contract.Delivered{Status: end.Status}, nil
}

// recordLimit bounds the record of what has been sent.
const recordLimit = 10 * time.Second

// recording is for the record of what a server has taken: somebody who cancels the activity, or stops its worker, must not
// have the message sent again. It ends all the same.
func (a *Activities) recording(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(a.recordLimit, recordLimit))
}

// withNote is why a message was not delivered, with what else there is to say about it.
func withNote(message, note string) string {
	if note == "" {
		return message
	}
	return message + "; besides, " + note
}

// endOfDelivery is how a delivery ended that can not be claimed any more.
func (a *Activities) endOfDelivery(ctx context.Context, id string) (contract.Delivered, error) {
	d, err := a.DB.GetDelivery(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		return contract.Delivered{Status: domain.DeliveryDropped}, nil
	}
	return contract.Delivered{Status: d.Status}, toTemporal(ctx, err)
}

// tryAgain notes why, and has Temporal try again, when the server said so at that time.
func (a *Activities) tryAgain(ctx context.Context, id, message string, err error) error {
	if err := a.DB.NoteDeliveryError(ctx, id, message, notify.RetryAfter(err)); err != nil {
		a.Logger.Warn("a failed attempt was not recorded", "delivery", id, "error", err)
	}
	return temporal.NewApplicationErrorWithOptions(message, string(failure.ClassOf(err)), temporal.ApplicationErrorOptions{
		NextRetryDelay: notify.RetryAfter(err), Details: []any{failure.HintOf(err)},
	})
}

// deliver does the sending. The secrets are to be masked in what it returns.
func (a *Activities) deliver(ctx context.Context, d db.ClaimedDelivery) (end db.DeliveryEnd, secrets []string, err error) {
	switch {
	case d.ChannelType == domain.ChannelHeartbeat:
		return a.ping(ctx, d)
	case d.Channel == nil:
		return db.DeliveryEnd{Status: domain.DeliveryDropped, Message: "the channel was deleted while it waited"}, nil, nil
	case !d.Channel.Enabled:
		return db.DeliveryEnd{Status: domain.DeliveryDropped, Message: "the channel was switched off while it waited"}, nil, nil
	}
	secrets = d.Channel.Config.HiddenValues()
	channel, err := channels.Open(d.Channel.Type, d.Channel.Config, a.Tuning.NotifyTimeout)
	if err != nil {
		return end, secrets, err
	}
	message, note, err := a.messageOf(ctx, *d.Channel, d, false)
	if err != nil {
		return end, secrets, err
	}
	s := sending{channel: channel, message: message, repeat: message, reached: d.Reached, begun: d.Begun, outcomes: d.Outcomes, record: deliveryRecord{a, d.ID, secrets}}
	if len(d.Begun) > 0 && !channel.CarriesID() {
		if s.repeat, note, err = a.messageOf(ctx, *d.Channel, d, true); err != nil {
			return end, secrets, err
		}
	}
	started := time.Now()
	end.Answer, err = s.toAll(ctx)
	end.Status, end.Latency, end.Message = domain.DeliverySent, time.Since(started), note
	return end, secrets, err
}

// heartbeatFresh is how old what a heartbeat tells may be.
const heartbeatFresh = time.Hour

// ping makes the GET of a heartbeat. The address is a secret of whoever watches. What is not sent within an hour, as when
// there was no worker, is never sent: to who gets it, it would say that a backup has completed just now. What was tried until then
// has failed. Whoever asks for one again knows what it says.
func (a *Activities) ping(ctx context.Context, d db.ClaimedDelivery) (end db.DeliveryEnd, secrets []string, err error) {
	jobID, of := "", d.CreatedAt
	if len(d.Notifications) > 0 {
		jobID, _ = d.Notifications[0].Metadata["job_id"].(string)
		if d.ResendOf == nil {
			of = d.Notifications[0].CreatedAt
		}
	}
	if time.Since(of) > heartbeatFresh {
		const old = "it is older than an hour, and would have told of an old backup as of a new one"
		if d.ErrorMessage != "" {
			return db.DeliveryEnd{Status: domain.DeliveryFailed, Message: withNote(d.ErrorMessage, old)}, nil, nil
		}
		return db.DeliveryEnd{Status: domain.DeliveryDropped, Message: old}, nil, nil
	}
	job, err := a.DB.GetBackupJob(ctx, jobID)
	if errors.Is(err, db.ErrNotFound) || (err == nil && job.BackupOptions.HeartbeatURL == "") {
		return db.DeliveryEnd{Status: domain.DeliveryDropped, Message: "the job has no heartbeat_url any more"}, nil, nil
	}
	if err != nil {
		return end, nil, err
	}
	secrets = domain.ChannelConfig{URL: job.BackupOptions.HeartbeatURL}.SecretValues()
	started := time.Now()
	end.Answer, err = channels.Ping(ctx, job.BackupOptions.HeartbeatURL, a.Tuning.NotifyTimeout)
	end.Status, end.Latency = domain.DeliverySent, time.Since(started)
	return end, secrets, err
}

// GiveUpDelivery ends a round of attempts at a delivery: it waits for another one, or is too old and has failed.
func (a *Activities) GiveUpDelivery(ctx context.Context, in contract.GiveUpInput) (contract.Delivered, error) {
	status, err := a.DB.GiveUp(ctx, in.DeliveryID, in.Message)
	if status == domain.DeliveryFailed {
		a.Logger.Warn("a notification was given up", "delivery", in.DeliveryID, "error", in.Message)
	}
	return contract.Delivered{Status: status}, toTemporal(ctx, err)
}
