// Package channels lists the kinds of channel: the one place that knows them all.
package channels

import (
	"context"
	"net/http"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/slack"
	"github.com/dataguardian/dataguardian/internal/notify/smtp"
	"github.com/dataguardian/dataguardian/internal/notify/webhook"
	"github.com/dataguardian/dataguardian/internal/notify/whatsapp"
	"github.com/dataguardian/dataguardian/internal/outbound"
)

// Open makes the channel of a configuration. timeout bounds one message to one recipient, 0 is
// notify.Timeout. Errors: ConfigInvalid.
func Open(t domain.ChannelType, config domain.ChannelConfig, timeout time.Duration) (notify.Channel, error) {
	switch {
	case t == domain.ChannelSMTP:
		return smtp.New(config, timeout)
	case t == domain.ChannelWebhook && config.Format == domain.WebhookSlack:
		return slack.New(config, timeout)
	case t == domain.ChannelWebhook:
		return webhook.New(config, timeout)
	case t == domain.ChannelWhatsApp:
		return whatsapp.New(config, timeout)
	default:
		return nil, failure.New(failure.Unsupported, "open channel", "this version knows no channel of type "+string(t), "Run the same version everywhere.")
	}
}

// Ping makes the GET of a heartbeat. Errors are classified as those of notify.Channel.
func Ping(ctx context.Context, address string, timeout time.Duration) (answer string, err error) {
	if timeout <= 0 {
		timeout = notify.Timeout
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", failure.New(failure.ConfigInvalid, "ping the heartbeat", "its address can not be used", "Check heartbeat_url of the job.")
	}
	said, err := notify.Do(outbound.Client(timeout), request, domain.ChannelConfig{URL: address}.SecretValues())
	if err != nil {
		return "", err
	}
	return said.String(), said.Check("ping the heartbeat")
}
