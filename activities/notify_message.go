package activities

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/channels"
)

// messageOf writes the message of a delivery. A template that fails on this event never keeps people from being
// told: the built-in text goes out, and note says why. repeat: who gets it may have had it.
func (a *Activities) messageOf(ctx context.Context, channel db.Channel, d db.ClaimedDelivery, repeat bool) (message notify.Message, note string, err error) {
	settings, err := a.DB.NotificationSettings(ctx)
	if failure.ClassOf(err) == failure.ConfigInvalid {
		settings, err = domain.DefaultNotificationSettings(), nil // a wrong setting must silence nobody
	}
	if err != nil {
		return message, "", err
	}
	events := make([]notify.Event, len(d.Notifications))
	for i, n := range d.Notifications {
		events[i] = eventOf(n, settings.PublicURL)
		events[i].Flapping = d.Flapping
		events[i].Repeat = repeat
		events[i] = events[i].Complete()
	}
	if len(events) == 0 {
		return message, "", failure.New(failure.NotFound, "write the message", "its notification was deleted", "")
	}
	var template *notify.Template
	if len(events) == 1 {
		active, err := a.DB.ActiveTemplate(ctx, channel.Type, events[0].Type)
		if err != nil {
			return message, "", err
		}
		if active != nil {
			template = &notify.Template{Subject: active.Subject, Body: active.Body, HTML: active.HTML}
		}
	}
	message, err = notify.Render(channel.Type, template, events)
	if err != nil && template != nil {
		note = "the template failed, the built-in text was sent: " + err.Error()
		message, err = notify.Render(channel.Type, nil, events)
	}
	message.DeliveryID = d.ID
	return message, note, failure.Wrap(failure.ConfigInvalid, "write the message", err, "")
}

// eventOf is a notification as templates see it.
func eventOf(n db.Notification, publicURL string) notify.Event {
	return notify.Event{
		ID: n.ID, Type: n.Type, Severity: n.Severity, Title: n.Title, Message: n.Message, Time: n.CreatedAt,
		EntityType: n.EntityType, EntityID: n.EntityID, Metadata: n.Metadata,
	}.FromMetadata(publicURL)
}

// SendSample sends a sample through a channel, to every recipient, and tells what came of it.
func (a *Activities) SendSample(ctx context.Context, in contract.ChannelRef) (contract.ChannelTestResult, error) {
	row, err := a.DB.GetChannel(ctx, in.ChannelID)
	if err != nil {
		return contract.ChannelTestResult{}, toTemporal(ctx, err)
	}
	secrets := row.Config.HiddenValues()
	started := time.Now()
	answer, err := a.sendSample(ctx, row)
	if ctx.Err() != nil {
		return contract.ChannelTestResult{}, toTemporal(ctx, ctx.Err())
	}
	result := contract.ChannelTestResult{OK: err == nil, LatencyMS: time.Since(started).Milliseconds(), Answer: failure.Redact(answer, secrets...)}
	if err != nil {
		result.Message, result.Hint = failure.Redact(err.Error(), secrets...), failure.HintOf(err)
	}
	return result, nil
}

func (a *Activities) sendSample(ctx context.Context, row db.Channel) (string, error) {
	channel, err := channels.Open(row.Type, row.Config, a.Tuning.NotifyTimeout)
	if err != nil {
		return "", err
	}
	message, err := notify.Render(row.Type, nil, []notify.Event{notify.Sample(domain.NotifyBackupSuccess, time.Now())})
	if err != nil {
		return "", err
	}
	message.DeliveryID = "test-" + strings.ToLower(rand.Text())
	return sending{channel: channel, message: message, repeat: message}.toAll(ctx)
}
