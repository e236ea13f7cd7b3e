package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// postponedFor is how long a delivery that was tried in vain makes room for others of its channel.
	postponedFor = 5 * time.Minute
	// failingFor is how long a channel fails, in ways that may pass, until people are told of it.
	failingFor = 20 * time.Minute
)

// DeliveryEnd is how a delivery ended. Neither text may hold a secret.
type DeliveryEnd struct {
	Status  domain.DeliveryStatus
	Latency time.Duration // of the last attempt
	Answer  string        // what the server said
	Message string        // why it failed
}

// FinishDelivery records the end of a delivery and of everything that was sent with it. The first end stays, but for
// what was dropped or postponed while it was on its way and has arrived. That a channel began to fail, or works again, is told.
func (q *Queries) FinishDelivery(ctx context.Context, id string, end DeliveryEnd) error {
	op := "finish delivery " + id
	if end.Status == domain.DeliveryPending || end.Status == domain.DeliverySending {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("status %q is not an end", end.Status), "")
	}
	return q.underChannel(ctx, id, func(q *Queries, channelID string) error {
		return q.finishDelivery(ctx, id, channelID, end)
	})
}

// underChannel runs fn in a transaction that holds the row of the delivery's channel, which everything that changes
// several deliveries takes first. channelID is "" for a heartbeat, and for a channel or a delivery that is gone.
func (q *Queries) underChannel(ctx context.Context, id string, fn func(q *Queries, channelID string) error) error {
	return q.inTx(ctx, func(q *Queries) error {
		d, err := q.GetDelivery(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if d.ChannelID == nil {
			return fn(q, "")
		}
		_, err = q.q.LockChannel(ctx, *d.ChannelID)
		if err := translate("lock the channel of delivery "+id, err); isMissing(err) {
			return fn(q, "")
		} else if err != nil {
			return err
		}
		return fn(q, *d.ChannelID)
	})
}

func (q *Queries) finishDelivery(ctx context.Context, id, channelID string, end DeliveryEnd) error {
	op, latency := "finish delivery "+id, end.Latency.Milliseconds()
	n, err := q.q.FinishDelivery(ctx, dbgen.FinishDeliveryParams{
		ID: id, Status: end.Status, LatencyMS: &latency, Answer: cleanText(end.Answer), ErrorMessage: cleanText(end.Message),
	})
	switch {
	case err != nil || n == 0 || channelID == "":
		return translate(op, err)
	case end.Status == domain.DeliverySent:
		return q.channelWorks(ctx, channelID)
	case end.Status == domain.DeliveryFailed:
		return q.channelFails(ctx, channelID, end.Message, 0)
	default:
		return nil
	}
}

// GiveUp ends a round of attempts at a delivery. It waits for another one while it is younger than the setting
// notifications.retry_hours, so that others of its channel come before it, and has failed after that.
func (q *Queries) GiveUp(ctx context.Context, id, message string) (status domain.DeliveryStatus, err error) {
	settings := q.deliverySettings(ctx)
	now := time.Now()
	err = q.underChannel(ctx, id, func(q *Queries, channelID string) error {
		_, err := q.q.PostponeDelivery(ctx, dbgen.PostponeDeliveryParams{
			ID: id, DueAt: now.Add(postponedFor), ErrorMessage: cleanText(message), Since: now.Add(-time.Duration(settings.RetryHours) * time.Hour),
		})
		if err := translate("postpone delivery "+id, err); isMissing(err) {
			status = domain.DeliveryFailed
			return q.finishDelivery(ctx, id, channelID, DeliveryEnd{Status: status, Message: "given up: " + message})
		} else if err != nil {
			return err
		}
		status = domain.DeliveryPending
		return q.channelFails(ctx, channelID, message, failingFor)
	})
	return status, err
}

// channelFails notes that a channel fails, and tells people once, when it has been failing for so long.
func (q *Queries) channelFails(ctx context.Context, id, message string, atLeast time.Duration) error {
	const op = "note that a channel fails"
	row, err := q.q.ChannelFails(ctx, id)
	if err != nil || row.ToldFailing || time.Since(row.FailingSince) < atLeast {
		return translate(op, err)
	}
	if err := q.q.ChannelFailureTold(ctx, id); err != nil {
		return translate(op, err)
	}
	return q.tellOfChannel(ctx, id, row.Name, domain.NotifyHealthDegraded, Notification{
		Title:   fmt.Sprintf("Notification channel %q fails", row.Name),
		Message: "A message did not reach everybody who reads it. " + message,
		Metadata: map[string]any{
			"hint": fmt.Sprintf("Send a sample with POST /api/notification-channels/%s/test, and correct the channel; what failed is in /api/notification-deliveries?status=failed and can be sent again.", id),
		},
	})
}

func (q *Queries) channelWorks(ctx context.Context, id string) error {
	row, err := q.q.ChannelWorks(ctx, id)
	if err := translate("note that a channel works", err); isMissing(err) || (err == nil && !row.ToldFailing) {
		return nil
	} else if err != nil {
		return err
	}
	return q.tellOfChannel(ctx, id, row.Name, domain.NotifyConnectionRestored, Notification{
		Title: fmt.Sprintf("Notification channel %q works again", row.Name), Message: "A message was taken.", Metadata: map[string]any{},
	})
}

// tellOfChannel tells everybody but the readers of the channel itself.
func (q *Queries) tellOfChannel(ctx context.Context, id, name string, t domain.NotificationType, n Notification) error {
	n.Type, n.Severity, n.EntityType = t, domain.SeverityOf(t), domain.EntitySystem
	n.Metadata["channel_id"], n.Metadata["channel"] = id, name
	n.Metadata[domain.MetadataCondition] = "notification_channel:" + id
	return q.AddNotification(ctx, n)
}
