package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// metadataUndelivered names the notification whose deliveries could not be made.
const metadataUndelivered = "undelivered_notification_id"

// alone makes the deliveries of one notification, and those of its heartbeat, each in a savepoint of its own: what is
// wrong with one of them stops nothing behind it. It is in the history of deliveries as failed, where it can be sent
// again, and people are told. The error is one that has nothing to do with the notification: all is tried again.
func (d *dispatch) alone(ctx context.Context, q *Queries, channels []dbgen.NotificationChannel) error {
	for _, part := range []struct{ make, fail func(context.Context) error }{
		{
			func(ctx context.Context) error { return d.run(ctx, channels) },
			func(ctx context.Context) error { return d.failed(ctx, channels) },
		},
		{d.addHeartbeat, d.failedHeartbeat},
	} {
		err := d.within(ctx, q, part.make)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || passes(err) {
			return err
		}
		d.wrong = failure.Message(err)
		for _, step := range []func(context.Context) error{part.fail, d.tellUndelivered} {
			err := d.within(ctx, q, step)
			if err != nil && (ctx.Err() != nil || passes(err)) {
				return err
			}
			if err != nil { // what keeps even this from being written is no reason to stop
				d.lost = errors.Join(d.lost, fmt.Errorf("notification %s: %s, which could not be recorded: %w", d.n.ID, d.unmade(), err))
			}
		}
	}
	return nil
}

// within runs one step in a savepoint.
func (d *dispatch) within(ctx context.Context, q *Queries, step func(context.Context) error) error {
	return q.inTx(ctx, func(q *Queries) error {
		d.q = q
		return step(ctx)
	})
}

// passes reports whether an error is about the database, or about what changed meanwhile, and not about what was asked of it.
func passes(err error) bool {
	switch failure.ClassOf(err) {
	case failure.Unreachable, failure.Timeout, failure.Cancelled:
		return true
	}
	var gone *ReferenceError // as a channel that was deleted since it was read
	var refused *pgconn.PgError
	if errors.As(err, &gone) || !errors.As(err, &refused) {
		return gone != nil
	}
	switch refused.Code {
	case "P0001", "57014": // what a trigger refuses, and the time limit of a statement: a context that has ended was looked at before
		return false
	case "23503": // a foreign key: as gone
		return true
	}
	// Of SQLSTATE: data that can not be, and constraints. A missing right, table or feature would fail every notification,
	// and the record of that too.
	return !strings.HasPrefix(refused.Code, "22") && !strings.HasPrefix(refused.Code, "23")
}

// failed are deliveries that were never made, for the channels that are told of such things. Whether channels for some tags or
// jobs are told of this one is not known: they are left out.
func (d *dispatch) failed(ctx context.Context, channels []dbgen.NotificationChannel) error {
	for _, channel := range channels {
		if !channel.Rules.Match(domain.Subject{Type: d.n.Type, Severity: d.n.Severity}) || channel.ID == d.n.text("channel_id") {
			continue
		}
		if err := d.insert(ctx, dbgen.AddDeliveryParams{
			NotificationID: d.n.ID, ChannelID: &channel.ID, ChannelName: channel.Name, ChannelType: channel.Type,
			Status: domain.DeliveryFailed, DueAt: d.now, ErrorMessage: d.unmade(),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d *dispatch) failedHeartbeat(ctx context.Context) error {
	return d.insert(ctx, dbgen.AddDeliveryParams{
		NotificationID: d.n.ID, ChannelName: "heartbeat", ChannelType: domain.ChannelHeartbeat,
		Status: domain.DeliveryFailed, DueAt: d.now, ErrorMessage: d.unmade(),
	})
}

func (d *dispatch) unmade() string { return cleanText("it could not be made ready: " + d.wrong) }

// tellUndelivered tells of it, once: nothing is told of a notification that tells such a thing itself.
func (d *dispatch) tellUndelivered(ctx context.Context) error {
	if d.n.text(metadataUndelivered) != "" {
		return nil
	}
	severity := domain.SeverityOf(domain.NotifyHealthDegraded)
	if d.n.Severity.AtLeast(severity) {
		severity = d.n.Severity
	}
	return d.q.AddNotification(ctx, Notification{
		Type: domain.NotifyHealthDegraded, Severity: severity, EntityType: domain.EntitySystem,
		Title:   fmt.Sprintf("A notification could not be sent: %s", d.n.Title),
		Message: d.unmade(),
		Metadata: map[string]any{
			metadataUndelivered: d.n.ID,
			"hint":              "Read the notification with GET /api/notifications. Its deliveries are in /api/notification-deliveries?status=failed and can be sent again.",
		},
	})
}
