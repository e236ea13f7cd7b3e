package channels_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// odd are pieces that others may write: what Slack escapes, more than one unit, more than one rune, no UTF-8, control characters.
var odd = []string{"&", "<", ">", "<!channel>", "&amp;", "a", "error ", "é", "日本", "😀", "👩‍👩‍👧", "e\u0301", "\u202e", "\xff", "\x00", "\n", "\t", "  ", "*", "_", "`", "|", "{{.Title}}"}

func oddText(r *rand.Rand, pieces int) string {
	var text strings.Builder
	for range r.IntN(pieces + 1) {
		text.WriteString(odd[r.IntN(len(odd))])
	}
	return text.String()
}

func oddEvent(r *rand.Rand, kind domain.NotificationType) notify.Event {
	sizes := []int{0, 3, 300, 3000, 9000}
	size := func() int { return sizes[r.IntN(len(sizes))] }
	e := notify.Event{
		ID: "1", Type: kind, Severity: domain.Severities()[r.IntN(3)], Time: time.Unix(1_800_000_000, 0),
		Title: oddText(r, size()), Message: oddText(r, size()), Job: oddText(r, size()), Datasource: oddText(r, size()), Storage: oddText(r, size()),
		Source: oddText(r, size()), Target: oddText(r, size()), ExecutionID: "2", Trigger: "manual", FailureClass: "Unreachable",
		Link: "https://backup.example.com/api/executions/2", TemporalURL: "https://temporal.example.com/" + strings.Repeat("x", r.IntN(4000)),
	}
	if r.IntN(2) == 0 {
		e.Hint = oddText(r, 100)
	}
	return e
}

var entity = regexp.MustCompile(`&(amp|lt|gt);`)

// Whatever others write, each provider takes the message.
func TestEveryMessageIsWithinTheLimitsOfItsProvider(t *testing.T) {
	const seed = 8
	r := rand.New(rand.NewPCG(seed, seed))
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, "ok"))
	cloud := cloudConfig(server.URL)
	template := cloud
	template.Template = "dataguardian_alert"
	slack := calmly(t, domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL + "/services/x", Format: domain.WebhookSlack})
	hook := calmly(t, domain.ChannelWebhook, webhookConfig(server.URL))
	evolution := calmly(t, domain.ChannelWhatsApp, evolutionConfig(server.URL))
	plain, templated := calmly(t, domain.ChannelWhatsApp, cloud), calmly(t, domain.ChannelWhatsApp, template)
	send := func(channel notify.Channel, kind domain.ChannelType, events []notify.Event) (body []byte, m notify.Message) {
		m = message(t, kind, events...)
		_, err := channel.Send(t.Context(), m, channel.Recipients()[0])
		require.NoError(t, err)
		got := server.Received()
		return got[len(got)-1].Body, m
	}
	types := domain.NotificationTypes()
	for i := range 6 * len(types) {
		events := []notify.Event{oddEvent(r, types[i%len(types)])}
		for i%5 == 0 && len(events) < 20 {
			events = append(events, oddEvent(r, types[r.IntN(len(types))]))
		}
		body, m := send(slack, domain.ChannelWebhook, events)
		text := notifytest.CheckBlockKit(t, body)
		var raw struct {
			Attachments []struct {
				Blocks []struct{ Text struct{ Type, Text string } }
			}
		}
		require.NoError(t, json.Unmarshal(body, &raw))
		for _, block := range raw.Attachments[0].Blocks {
			if block.Text.Type == "mrkdwn" {
				require.NotContains(t, entity.ReplaceAllString(block.Text.Text, ""), "&", "no entity is cut in two")
				require.NotContains(t, block.Text.Text, "<")
			}
		}
		if advice := m.Event.Advice; len(events) == 1 && m.Event.Hint == "" && advice != "" {
			require.Contains(t, text, advice, "what to do is not what is left out")
		}

		body, m = send(hook, domain.ChannelWebhook, events)
		require.True(t, json.Valid(body))
		require.LessOrEqual(t, notify.Characters(m.Text), 3000)

		for _, channel := range []notify.Channel{evolution, plain} {
			body, _ = send(channel, domain.ChannelWhatsApp, events)
			var sent struct {
				Text any
			}
			require.NoError(t, json.Unmarshal(body, &sent))
			shown, ok := sent.Text.(string)
			if !ok {
				shown = sent.Text.(map[string]any)["body"].(string)
			}
			require.True(t, utf8.ValidString(shown))
			require.LessOrEqual(t, notify.Characters(shown), 4096)
			require.NotEmpty(t, shown)
		}
		body, _ = send(templated, domain.ChannelWhatsApp, events)
		var sent struct {
			Template struct {
				Components []struct{ Parameters []struct{ Text string } }
			}
		}
		require.NoError(t, json.Unmarshal(body, &sent))
		parameter := sent.Template.Components[0].Parameters[0].Text
		require.LessOrEqual(t, notify.Characters(parameter), 900)
		require.NotRegexp(t, `[\n\t]|    `, parameter)
	}
}

func TestALongErrorLosesItsOwnEndAndNotWhatToDo(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, notifytest.CloudOK))
	e := notify.Sample(domain.NotifyBackupFailed, time.Now())
	e.Message, e.Hint, e.Link = strings.Repeat("& no route to <host> ", 1000), "Start the server.", "https://backup.example.com/api/executions/1"
	slack := calmly(t, domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL, Format: domain.WebhookSlack})
	_, err := slack.Send(t.Context(), message(t, domain.ChannelWebhook, e), "")
	require.NoError(t, err)
	config := cloudConfig(server.URL)
	config.Template = "dataguardian_alert"
	_, err = calmly(t, domain.ChannelWhatsApp, config).Send(t.Context(), message(t, domain.ChannelWhatsApp, e), "4915112345678")
	require.NoError(t, err)
	for _, got := range server.Received() {
		require.Contains(t, string(got.Body), "Start the server.")
		require.Contains(t, string(got.Body), e.Link)
		require.Contains(t, string(got.Body), "no route to")
		require.Contains(t, string(got.Body), "…")
	}
}

func TestADigestNamesTheWorstFirst(t *testing.T) {
	var events []notify.Event
	for i, kind := range []domain.NotificationType{domain.NotifyBackupSuccess, domain.NotifyHealthDegraded, domain.NotifyBackupFailed, domain.NotifyBackupSuccess} {
		for range 4 {
			e := notify.Sample(kind, time.Unix(int64(i), 0))
			e.Title = string(e.Severity)
			events = append(events, e)
		}
	}
	m, err := notify.Render(domain.ChannelSMTP, nil, events)
	require.NoError(t, err)
	require.Equal(t, "[DataGuardian] CRITICAL: 16 notifications: 8 backup_success, 4 backup_failed, 4 health_degraded", m.Subject)
	require.Regexp(t, `(?s)(- critical\n){4}(- warning\n){4}(- info\n){2}- and 6 more`, m.Text)
	require.Equal(t, domain.SeverityCritical, m.Digest[0].Severity)
	require.Equal(t, domain.SeverityInfo, m.Digest[15].Severity)
}
