package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Delivery is one notification on its way to one channel. One that was sent as part of a digest has the
// outcome of the delivery in SentWith.
type Delivery dbgen.NotificationDelivery

// DeliveryFilter narrows a list; the zero value of a field does not.
type DeliveryFilter struct {
	ChannelID      string
	NotificationID string
	Status         domain.DeliveryStatus
}

// GetDelivery reads one. Errors: ErrNotFound.
func (q *Queries) GetDelivery(ctx context.Context, id string) (Delivery, error) {
	op := "read delivery " + id
	if err := checkID(op, id); err != nil {
		return Delivery{}, err
	}
	row, err := q.q.GetDelivery(ctx, id)
	return Delivery(row), translate(op, err)
}

// ListDeliveries reads one page and the cursor of the next, "" on the last one. Errors: ErrInvalidCursor.
func (q *Queries) ListDeliveries(ctx context.Context, filter DeliveryFilter, page Page) ([]Delivery, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	for _, id := range []string{filter.ChannelID, filter.NotificationID} {
		if id != "" && !isID(id) {
			return []Delivery{}, "", nil
		}
	}
	rows, err := q.q.ListDeliveries(ctx, dbgen.ListDeliveriesParams{
		ChannelID: unlessZero(filter.ChannelID), NotificationID: unlessZero(filter.NotificationID), Status: unlessZero(string(filter.Status)),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list deliveries", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.NotificationDelivery) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, func(r dbgen.NotificationDelivery) (Delivery, error) { return Delivery(r), nil })
	return out, next, err
}

// Resend makes another delivery of what an earlier one brought, all of a digest, and wakes the workers. Errors: ErrNotFound;
// domain.Invalid for one that has not ended, or whose channel is gone or off.
func (q *Queries) Resend(ctx context.Context, id string) (Delivery, error) {
	var again Delivery
	err := q.inTx(ctx, func(q *Queries) error {
		old, err := q.GetDelivery(ctx, id)
		if err != nil {
			return err
		}
		channelName, err := q.resendable(ctx, old)
		if err != nil {
			return err
		}
		fresh, err := newID()
		if err != nil {
			return err
		}
		if err := q.q.AddDelivery(ctx, dbgen.AddDeliveryParams{
			ID: fresh, NotificationID: old.NotificationID, ChannelID: old.ChannelID, ChannelName: channelName, ChannelType: old.ChannelType,
			Status: domain.DeliveryPending, ResendOf: &old.ID, DueAt: time.Now(), Reached: haveIt(old),
		}); err != nil {
			return translate("send again", err)
		}
		if err := q.WakeDispatcher(ctx); err != nil {
			return err
		}
		again, err = q.GetDelivery(ctx, fresh)
		return err
	})
	return again, err
}

// haveIt are the recipients that a resend leaves out: one of a delivery that failed is for those who did not get it.
func haveIt(d Delivery) []string {
	if d.Status == domain.DeliveryFailed {
		return d.Reached
	}
	return nil
}

// resendable refuses what can not be sent again, and returns the present name of the channel.
func (q *Queries) resendable(ctx context.Context, d Delivery) (string, error) {
	var v domain.Invalid
	if d.FinishedAt == nil {
		v.Add("id", "is a delivery that is under way; it is tried until it succeeds or is given up")
		return "", v
	}
	if d.ChannelType == domain.ChannelHeartbeat {
		return "", nil
	}
	if d.ChannelID == nil {
		v.Add("id", "is a delivery to a channel that was deleted")
		return "", v
	}
	channel, err := q.q.GetChannel(ctx, *d.ChannelID)
	if err == nil && !channel.Enabled {
		v.Add("id", "is a delivery to channel %q, which is switched off", channel.Name)
		return "", v
	}
	return channel.Name, translate("read the channel", err)
}

// ClaimedDelivery is what a worker has to send.
type ClaimedDelivery struct {
	Delivery
	Notifications []Notification // one, or those of a digest, the oldest first
	Channel       *Channel       // nil for a heartbeat, and for a channel that is gone
}

// ClaimDelivery takes a delivery to send it, and counts the attempt. Errors: ErrNotFound when it has ended
// or never was.
func (q *Queries) ClaimDelivery(ctx context.Context, id string) (ClaimedDelivery, error) {
	op := "take delivery " + id
	var out ClaimedDelivery
	err := q.inTx(ctx, func(q *Queries) error {
		row, err := q.q.ClaimDelivery(ctx, id)
		if err != nil {
			return translate(op, err)
		}
		out.Delivery = Delivery(row)
		rows, err := q.q.NotificationsOfDelivery(ctx, id)
		if err != nil {
			return translate(op, err)
		}
		for _, row := range rows {
			out.Notifications = append(out.Notifications, notification(row))
		}
		return nil
	})
	if err != nil || out.ChannelID == nil {
		return out, err
	}
	channel, err := q.GetChannel(ctx, *out.ChannelID)
	if err != nil {
		return out, err
	}
	out.Channel = &channel
	return out, nil
}

// MarkReached notes that a recipient of a delivery has it and what the server said, so that another attempt does not send
// it there again. said may hold no secret.
func (q *Queries) MarkReached(ctx context.Context, id, recipient, said string) error {
	document, err := outcomeOf(recipient, domain.RecipientOutcome{State: domain.RecipientSent, Said: said})
	if err != nil {
		return err
	}
	return translate("record a recipient", q.q.MarkReached(ctx, dbgen.MarkReachedParams{ID: id, Recipient: recipient, Outcome: document}))
}

// MarkBegun notes that sending to a recipient begins: until MarkReached, MarkNotReached or the end of the delivery says
// more, the recipient may have it.
func (q *Queries) MarkBegun(ctx context.Context, id, recipient string) error {
	return translate("record a recipient", q.q.MarkBegun(ctx, dbgen.MarkBegunParams{ID: id, Recipient: recipient}))
}

// MarkNotReached notes why a recipient has not got it; an outcome without a state is not kept. notBegun takes MarkBegun
// back. The outcome may hold no secret.
func (q *Queries) MarkNotReached(ctx context.Context, id, recipient string, outcome domain.RecipientOutcome, notBegun bool) error {
	document, err := outcomeOf(recipient, outcome)
	if err != nil {
		return err
	}
	return translate("record a recipient", q.q.MarkNotReached(ctx, dbgen.MarkNotReachedParams{
		ID: id, Recipient: recipient, Outcome: document, NotBegun: notBegun,
	}))
}

// outcomeOf is the document of one recipient, as of now.
func outcomeOf(recipient string, outcome domain.RecipientOutcome) ([]byte, error) {
	outcomes := domain.RecipientOutcomes{}
	if outcome.State != "" {
		outcome.Said, outcome.At = cleanText(outcome.Said), time.Now().UTC()
		outcomes[recipient] = outcome
	}
	document, err := json.Marshal(outcomes)
	return document, failure.Wrap(failure.Unknown, "record a recipient", err, "")
}

// NoteDeliveryError keeps why the last attempt failed, for people who look while it is tried again, and until when the
// server does not want to be asked, 0 for no such wish.
func (q *Queries) NoteDeliveryError(ctx context.Context, id, message string, wait time.Duration) error {
	return translate("record a failed attempt", q.q.NoteDeliveryError(ctx, dbgen.NoteDeliveryErrorParams{
		ID: id, ErrorMessage: cleanText(message), NotBefore: time.Now().Add(wait),
	}))
}
