package channels_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// posted is what Slack gets of a message.
func posted(t *testing.T, m notify.Message) []byte {
	t.Helper()
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, notifytest.SlackOK))
	channel := calmly(t, domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL + "/services/T0/B0/x", Format: domain.WebhookSlack})
	_, err := channel.Send(t.Context(), m, "")
	require.NoError(t, err)
	return server.Received()[0].Body
}

func colourOf(t *testing.T, body []byte) string {
	t.Helper()
	var message struct {
		Attachments []struct{ Color string }
	}
	require.NoError(t, json.Unmarshal(body, &message))
	require.Len(t, message.Attachments, 1)
	return message.Attachments[0].Color
}

func TestSlackShowsEachSeverityInItsColour(t *testing.T) {
	for severity, want := range map[domain.Severity]string{
		domain.SeverityInfo: "#1a7f37", domain.SeverityWarning: "#d4a72c", domain.SeverityCritical: "#cf222e",
	} {
		e := notify.Sample(domain.NotifyBackupFailed, time.Now())
		e.Severity = severity
		require.Equal(t, want, colourOf(t, posted(t, message(t, domain.ChannelWebhook, e))), "%s", severity)
		worse := e
		worse.Severity = domain.SeverityCritical
		require.Equal(t, "#cf222e", colourOf(t, posted(t, message(t, domain.ChannelWebhook, e, worse, e))), "a digest has that of its worst")
	}
	for _, kind := range domain.NotificationTypes() {
		want := map[domain.Severity]string{"info": "#1a7f37", "warning": "#d4a72c", "critical": "#cf222e"}[domain.SeverityOf(kind)]
		require.Equal(t, want, colourOf(t, posted(t, message(t, domain.ChannelWebhook, notify.Sample(kind, time.Now())))), "%s", kind)
	}
}

// The largest that can come is a message that Slack takes, with every fact.
func TestTheLargestInputsAreValidBlockKit(t *testing.T) {
	for name, piece := range map[string]string{"text": "long ", "what is escaped": "<&>", "two units": "😀", "one rune of several": "👩‍👩‍👧", "line ends": "x\n"} {
		t.Run(name, func(t *testing.T) {
			e := notify.Sample(domain.NotifyBackupFailed, time.Now())
			fields := reflect.ValueOf(&e).Elem()
			for i := range fields.NumField() { // every text is huge
				if field := fields.Field(i); field.Kind() == reflect.String && fields.Type().Field(i).Name != "Type" && fields.Type().Field(i).Name != "Severity" {
					field.SetString(strings.Repeat(piece, 20_000))
				}
			}
			e.Duration, e.SizeBytes, e.StoredBytes, e.Repeat, e.Flapping = time.Hour, 1<<60, 1<<60, true, true
			m := message(t, domain.ChannelWebhook, e)
			body := posted(t, m)
			texts := notifytest.CheckBlockKit(t, body)
			for _, fact := range []string{"Severity", "Datasource", "Source", "Target", "Storage", "Job", "Started by", "Took", "Size", "Stored", "Failure", "Execution", "Time"} {
				require.Contains(t, texts, "*"+fact+"*\n")
			}
			storm := make([]notify.Event, 300)
			for i := range storm {
				storm[i] = e
			}
			notifytest.CheckBlockKit(t, posted(t, message(t, domain.ChannelWebhook, storm...)))
		})
	}
}
