// Package webhook posts notifications as signed JSON. docs/notifications.md is the schema.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/outbound"
)

// Schema is the version of Body: members are only ever added to it.
const Schema = "dataguardian.notification/1"

// The headers of a request.
const (
	HeaderSignature = "X-DataGuardian-Signature" // t=<Unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">
	HeaderDelivery  = "X-DataGuardian-Delivery"  // the same for every attempt
	HeaderEvent     = "X-DataGuardian-Event"     // the type
)

// Body is what is posted.
type Body struct {
	Schema       string       `json:"schema" doc:"dataguardian.notification/1"`
	DeliveryID   string       `json:"delivery_id" doc:"The same for every attempt"`
	SentAt       time.Time    `json:"sent_at" doc:"Of this attempt"`
	Test         bool         `json:"test" doc:"A sample: nothing happened"`
	Title        string       `json:"title" doc:"By the template's subject"`
	Text         string       `json:"text" doc:"By the template's body; at most 3,000 characters"`
	Notification Notification `json:"notification" doc:"What happened; of a digest the most severe"`
	Links        Links        `json:"links" doc:"Where there is more"`
	Digest       *Digest      `json:"digest,omitempty" doc:"Where the message stands for several notifications"`
}

// Notification is what happened; of a digest the most severe of them.
type Notification struct {
	ID         string                  `json:"id" doc:"Of the notification in the API"`
	Type       domain.NotificationType `json:"type" doc:"What happened"`
	Severity   domain.Severity         `json:"severity" doc:"info, warning or critical"`
	Title      string                  `json:"title" doc:"One line"`
	Message    string                  `json:"message" doc:"What went wrong, not cut; may be empty"`
	EntityType domain.EntityType       `json:"entity_type" doc:"What it is about; system where that is nothing in particular"`
	EntityID   string                  `json:"entity_id,omitempty" doc:"Of what it is about"`
	CreatedAt  time.Time               `json:"created_at" doc:"When it happened"`
	Metadata   map[string]any          `json:"metadata,omitempty" doc:"What else is known; members differ by type, and come and go"`
}

// Links lead to where there is more; "" for none.
type Links struct {
	Execution string `json:"execution,omitempty" doc:"In the API, where notifications.public_url is set"`
	Temporal  string `json:"temporal,omitempty" doc:"In Temporal's UI"`
}

// Digest says what one message stands for.
type Digest struct {
	Count         int                             `json:"count" doc:"How many"`
	Types         map[domain.NotificationType]int `json:"types" doc:"How many of each type"`
	Notifications []Notification                  `json:"notifications" doc:"The first 50, the worst first"`
}

const maxListed = 50

// Channel is an address that JSON is posted to.
type Channel struct {
	config domain.ChannelConfig
	client *http.Client
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel of a configuration that has been validated. Errors: ConfigInvalid. timeout 0 is
// notify.Timeout.
func New(config domain.ChannelConfig, timeout time.Duration) (*Channel, error) {
	client, err := Client(config, timeout)
	return &Channel{config, client}, err
}

// Client is the HTTP client that a channel's configuration asks for.
func Client(config domain.ChannelConfig, timeout time.Duration) (*http.Client, error) {
	roots, err := notify.RootCAs(config.CACertificate)
	if err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = notify.Timeout
	}
	return outbound.New(outbound.Options{Timeout: timeout, AllowLinkLocal: config.AllowLinkLocal, RootCAs: roots}), nil
}

// Recipients is one: the address.
func (c *Channel) Recipients() []string { return []string{""} }

// CarriesID is true: a header, and delivery_id in the body.
func (c *Channel) CarriesID() bool { return true }

// Send posts the message.
func (c *Channel) Send(ctx context.Context, m notify.Message, _ string) (string, error) {
	body, err := json.Marshal(bodyOf(m, time.Now()))
	if err != nil {
		return "", failure.Wrap(failure.ConfigInvalid, "write the request", err, "")
	}
	answer, err := Post(ctx, c.client, c.config, m, body)
	if err != nil {
		return "", err
	}
	return answer.String(), answer.Check("post to the webhook")
}

// Post sends a body to the channel's address, with its headers and its signature.
func Post(ctx context.Context, client *http.Client, config domain.ChannelConfig, m notify.Message, body []byte) (notify.Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, config.URL, bytes.NewReader(body))
	if err != nil {
		return notify.Answer{}, failure.New(failure.ConfigInvalid, "post to the webhook", "its url can not be used", "Check the url of the channel.")
	}
	for _, header := range config.Headers {
		request.Header.Set(header.Name, header.Value)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(HeaderDelivery, m.DeliveryID)
	request.Header.Set(HeaderEvent, string(m.Event.Type))
	if config.Secret != "" {
		request.Header.Set(HeaderSignature, Sign(config.Secret, time.Now(), body))
	}
	return notify.Do(client, request, config.SecretValues())
}

// Sign is the value of HeaderSignature.
func Sign(secret string, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, body) // a hash takes everything
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func bodyOf(m notify.Message, now time.Time) Body {
	body := Body{
		Schema: Schema, DeliveryID: m.DeliveryID, SentAt: now.UTC(), Test: m.Event.Test, Title: m.Subject, Text: m.Text,
		Notification: notificationOf(m.Event), Links: Links{Execution: m.Event.Link, Temporal: m.Event.TemporalURL},
	}
	if len(m.Digest) == 0 {
		return body
	}
	body.Digest = &Digest{Count: len(m.Digest), Types: map[domain.NotificationType]int{}}
	for i, e := range m.Digest {
		body.Digest.Types[e.Type]++
		if i < maxListed {
			body.Digest.Notifications = append(body.Digest.Notifications, notificationOf(e))
		}
	}
	return body
}

func notificationOf(e notify.Event) Notification {
	return Notification{
		ID: e.ID, Type: e.Type, Severity: e.Severity, Title: e.Title, Message: e.Message, EntityType: e.EntityType,
		EntityID: e.EntityID, CreatedAt: e.Time.UTC(), Metadata: e.Metadata,
	}
}
