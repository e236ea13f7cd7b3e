// Package slack posts notifications to an incoming webhook of Slack, as Block Kit.
package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/webhook"
)

// Slack's limits, in characters and pieces.
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
	maxFields  = 10
	maxURL     = 3000
)

// Channel is an incoming webhook.
type Channel struct {
	config domain.ChannelConfig
	client *http.Client
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel of a configuration that has been validated. Errors: ConfigInvalid. timeout 0 is
// notify.Timeout.
func New(config domain.ChannelConfig, timeout time.Duration) (*Channel, error) {
	client, err := webhook.Client(config, timeout)
	return &Channel{config, client}, err
}

// Recipients is one: the channel that the webhook belongs to.
func (c *Channel) Recipients() []string { return []string{""} }

// CarriesID is false: an incoming webhook shows the text only.
func (c *Channel) CarriesID() bool { return false }

// Send posts the message.
func (c *Channel) Send(ctx context.Context, m notify.Message, _ string) (string, error) {
	body, err := json.Marshal(message(m))
	if err != nil {
		return "", failure.Wrap(failure.ConfigInvalid, "write the message", err, "")
	}
	answer, err := webhook.Post(ctx, c.client, c.config, m, body)
	if err != nil {
		return "", err
	}
	return answer.String(), answer.Check("post to Slack")
}

// message is the Block Kit of a notification: an attachment for the colour, with the blocks in it.
func message(m notify.Message) slackgo.WebhookMessage {
	blocks := []slackgo.Block{
		slackgo.NewHeaderBlock(plain(m.Subject, maxHeader)),
	}
	if text := m.Within(maxSection, escape); text != "" {
		blocks = append(blocks, slackgo.NewSectionBlock(markdown(text), nil, nil))
	}
	for facts := range slices.Chunk(m.Event.Facts, maxFields) {
		var fields []*slackgo.TextBlockObject
		for _, fact := range facts {
			name := "*" + escape(fact.Name) + "*\n"
			fields = append(fields, markdown(name+notify.Shorten(fact.Value, maxField-notify.Characters(name), escape)))
		}
		blocks = append(blocks, slackgo.NewSectionBlock(nil, fields, nil))
	}
	if buttons := buttonsOf(m.Event); len(buttons) > 0 {
		blocks = append(blocks, slackgo.NewActionBlock("links", buttons...))
	}
	return slackgo.WebhookMessage{
		Text:        escape(m.Subject), // what notifications on a telephone show
		Attachments: []slackgo.Attachment{{Color: colour(m.Event.Severity), Blocks: slackgo.Blocks{BlockSet: blocks}}},
	}
}

func buttonsOf(e notify.Event) []slackgo.BlockElement {
	var buttons []slackgo.BlockElement
	for _, link := range []struct{ id, text, url string }{{"execution", "Execution", e.Link}, {"temporal", "Workflow in Temporal", e.TemporalURL}} {
		if link.url != "" && len(link.url) <= maxURL {
			button := slackgo.NewButtonBlockElement(link.id, "", plain(link.text, maxHeader))
			button.URL = link.url
			buttons = append(buttons, button)
		}
	}
	return buttons
}

func colour(s domain.Severity) string {
	switch s {
	case domain.SeverityCritical:
		return "#cf222e"
	case domain.SeverityWarning:
		return "#d4a72c"
	default:
		return "#1a7f37"
	}
}

func plain(text string, most int) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.PlainTextType, notify.Cut(text, most), true, false)
}

func markdown(text string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, text, false, false)
}

// escape keeps what others wrote from being read as a mention or a link (docs.slack.dev, Formatting message text).
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
