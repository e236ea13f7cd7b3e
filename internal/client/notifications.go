package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// ChannelDocument is what is written of a notification channel.
type ChannelDocument struct {
	Name    string               `json:"name"`
	Type    domain.ChannelType   `json:"type"`
	Enabled *bool                `json:"enabled,omitempty"`
	Config  domain.ChannelConfig `json:"config"`
	Rules   domain.ChannelRules  `json:"rules"`
}

// Channel is a notification channel as the API shows it.
type Channel struct {
	ID      string               `json:"id"`
	Name    string               `json:"name"`
	Type    domain.ChannelType   `json:"type"`
	Enabled bool                 `json:"enabled"`
	Config  domain.ChannelConfig `json:"config"`
	Rules   domain.ChannelRules  `json:"rules"`
	Version int64                `json:"version"`
}

// ChannelTest is what came of a sample.
type ChannelTest struct {
	OK        bool   `json:"ok"`
	LatencyMS int64  `json:"latency_ms"`
	Answer    string `json:"answer"`
	Message   string `json:"message"`
	Hint      string `json:"hint"`
}

// Notification is a notification as the API shows it.
type Notification struct {
	ID         string                  `json:"id"`
	Type       domain.NotificationType `json:"type"`
	Severity   domain.Severity         `json:"severity"`
	EntityType domain.EntityType       `json:"entity_type"`
	EntityID   string                  `json:"entity_id"`
	Title      string                  `json:"title"`
	Message    string                  `json:"message"`
	Metadata   map[string]any          `json:"metadata"`
	ReadAt     *time.Time              `json:"read_at"`
	CreatedAt  time.Time               `json:"created_at"`
}

// NotificationDelivery is one notification on its way to one channel.
type NotificationDelivery struct {
	ID             string                `json:"id"`
	NotificationID string                `json:"notification_id"`
	ChannelID      *string               `json:"channel_id"`
	ChannelName    string                `json:"channel_name"`
	ChannelType    domain.ChannelType    `json:"channel_type"`
	Status         domain.DeliveryStatus `json:"status"`
	SentWith       *string               `json:"sent_with"`
	ResendOf       *string               `json:"resend_of"`
	Attempts       int                   `json:"attempts"`
	LatencyMS      *int64                `json:"latency_ms"`
	Answer         string                `json:"answer"`
	Error          string                `json:"error"`
	Recipients     []RecipientOutcome    `json:"recipients"`
	CreatedAt      time.Time             `json:"created_at"`
	FinishedAt     *time.Time            `json:"finished_at"`
}

// RecipientOutcome is what came of one recipient of a delivery.
type RecipientOutcome struct {
	Recipient string                `json:"recipient"`
	State     domain.RecipientState `json:"state"`
	Said      string                `json:"said"`
}

// Channels are the notification channels.
func (c *Client) Channels() Resource[ChannelDocument, Channel] {
	return Resource[ChannelDocument, Channel]{c, "/api/notification-channels"}
}

// TestChannel sends a sample through the real channel.
func (c *Client) TestChannel(ctx context.Context, id string) (ChannelTest, error) {
	var out ChannelTest
	err := c.call(ctx, http.MethodPost, c.Channels().at(id)+"/test", nil, nil, &out)
	return out, err
}

// Notifications lists those that match the query (unread, type, severity, entity_id, execution_id…), newest first.
func (c *Client) Notifications(ctx context.Context, query url.Values) ([]Notification, error) {
	return collect[Notification](ctx, c, "/api/notifications", query)
}

// UnreadNotifications counts them.
func (c *Client) UnreadNotifications(ctx context.Context) (int64, error) {
	var out struct {
		Unread int64 `json:"unread"`
	}
	err := c.call(ctx, http.MethodGet, "/api/notifications/unread-count", nil, nil, &out)
	return out.Unread, err
}

// ReadNotification marks one as read.
func (c *Client) ReadNotification(ctx context.Context, id string) (Notification, error) {
	var out Notification
	err := c.call(ctx, http.MethodPost, "/api/notifications/"+url.PathEscape(id)+"/read", nil, nil, &out)
	return out, err
}

// Deliveries lists those that match the query (channel_id, notification_id, status), newest first.
func (c *Client) Deliveries(ctx context.Context, query url.Values) ([]NotificationDelivery, error) {
	return collect[NotificationDelivery](ctx, c, "/api/notification-deliveries", query)
}

// ResendDelivery sends again what a delivery that has ended brought.
func (c *Client) ResendDelivery(ctx context.Context, id string) (NotificationDelivery, error) {
	var out NotificationDelivery
	err := c.call(ctx, http.MethodPost, "/api/notification-deliveries/"+url.PathEscape(id)+"/resend", nil, nil, &out)
	return out, err
}
