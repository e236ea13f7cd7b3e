// Package whatsapp sends notifications to WhatsApp, through an Evolution API server or the WhatsApp Cloud API,
// one message to each number.
package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/outbound"
)

// maxParameter is how long the parameter of an approved template gets, in characters: the body of a template has at most
// 1,024 when it is filled in, and needs some text of its own around the parameter.
const maxParameter = 900

// Channel sends through one provider.
type Channel struct {
	config domain.ChannelConfig
	client *http.Client
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel of a configuration that has been validated. Errors: ConfigInvalid. timeout 0 is
// notify.Timeout.
func New(config domain.ChannelConfig, timeout time.Duration) (*Channel, error) {
	roots, err := notify.RootCAs(config.CACertificate)
	if err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = notify.Timeout
	}
	return &Channel{config, outbound.New(outbound.Options{Timeout: timeout, AllowLinkLocal: config.AllowLinkLocal, RootCAs: roots})}, nil
}

// Recipients are the numbers.
func (c *Channel) Recipients() []string { return c.config.To }

// CarriesID is false: neither API has an id against repetition.
func (c *Channel) CarriesID() bool { return false }

// Send sends the message to one number.
func (c *Channel) Send(ctx context.Context, m notify.Message, to string) (string, error) {
	if c.config.Provider == domain.WhatsAppCloud {
		return c.sendCloud(ctx, m, to)
	}
	return c.sendEvolution(ctx, m, to)
}

// sendEvolution follows Evolution API v2: POST /message/sendText/{instance}.
func (c *Channel) sendEvolution(ctx context.Context, m notify.Message, to string) (string, error) {
	answer, err := c.post(ctx, m, "/message/sendText/"+url.PathEscape(c.config.Instance),
		map[string]string{"number": to, "text": m.Text}, "apikey", c.config.APIKey)
	if err != nil {
		return "", err
	}
	return answer.String(), answer.Check("send through Evolution API")
}

// sendCloud follows the Cloud API: POST /{phone number id}/messages.
func (c *Channel) sendCloud(ctx context.Context, m notify.Message, to string) (string, error) {
	answer, err := c.post(ctx, m, "/"+c.config.PhoneNumberID+"/messages", c.cloudMessage(m, to), "Authorization", "Bearer "+c.config.AccessToken)
	if err != nil {
		return "", err
	}
	return answer.String(), checkCloud(answer)
}

type object = map[string]any

func (c *Channel) cloudMessage(m notify.Message, to string) object {
	message := object{"messaging_product": "whatsapp", "recipient_type": "individual", "to": to}
	if m.DeliveryID != "" { // comes back in the webhooks that tell what became of the message
		message["biz_opaque_callback_data"] = m.DeliveryID
	}
	if c.config.Template == "" {
		message["type"], message["text"] = "text", object{"preview_url": false, "body": m.Text}
		return message
	}
	message["type"] = "template"
	message["template"] = object{
		"name": c.config.Template, "language": object{"code": c.config.Language},
		"components": []object{{"type": "body", "parameters": []object{{"type": "text", "text": m.Within(maxParameter, parameter)}}}},
	}
	return message
}

// parameter is a text as a template's parameter takes it: no line breaks, no tabs, no runs of spaces.
func parameter(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " | ")
}

// passing are codes of the Cloud API that mean "too many" or "try later", whatever the HTTP status, and tooMany those that
// mean too many to whomever; 131056 is too many to one number.
var (
	passing = []int{1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 133004}
	tooMany = []int{4, 80007, 130429, 131048}
)

// refused are codes about the access token.
var refused = []int{0, 10, 190, 200, 299}

// checkCloud reads the error that the Cloud API answers with: its code says more than the status.
func checkCloud(answer notify.Answer) error {
	if answer.Status/100 == 2 {
		return nil
	}
	var said struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	const op = "send through WhatsApp Cloud API"
	err := answer.Check(op)
	if json.Unmarshal([]byte(answer.Text), &said) != nil || said.Error == nil {
		return err
	}
	switch {
	case slices.Contains(passing, said.Error.Code):
		err = notify.WithRetryAfter(failure.New(failure.Unreachable, op, "the server answered "+answer.String(), "It is tried again."), answer.RetryAfter)
		if slices.Contains(tooMany, said.Error.Code) {
			err = notify.WithRest(err)
		}
		return err
	case slices.Contains(refused, said.Error.Code):
		return failure.New(failure.AuthFailed, op, "the server answered "+answer.String(), "Check the access token, its permissions and that it has not expired.")
	default:
		return err
	}
}

func (c *Channel) post(ctx context.Context, m notify.Message, path string, message any, header, secret string) (notify.Answer, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return notify.Answer{}, failure.Wrap(failure.ConfigInvalid, "write the message", err, "")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return notify.Answer{}, failure.New(failure.ConfigInvalid, "send to WhatsApp", "its api_url can not be used", "Check the api_url of the channel.")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-DataGuardian-Delivery", m.DeliveryID)
	request.Header.Set(header, secret)
	return notify.Do(c.client, request, c.config.HiddenValues())
}
