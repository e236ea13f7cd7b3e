package channels_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// bordering is a failed backup whose error has so many pieces; what else there is to say follows it.
func bordering(piece string, n int, rest string) notify.Event {
	e := notify.Sample(domain.NotifyBackupFailed, time.Unix(1_800_000_000, 0))
	e.Message, e.Hint, e.Link = strings.Repeat(piece, n)+rest, "Start the server.", "https://backup.example.com/api/executions/1"
	return e
}

// units counts as JavaScript and Java do, which is never less than what counts runes.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

// sentBy is the text that a provider gets, through the real channel.
func sentBy(t *testing.T, server *notifytest.HTTPServer, kind domain.ChannelType, config domain.ChannelConfig, e notify.Event) string {
	t.Helper()
	channel := calmly(t, kind, config)
	_, err := channel.Send(t.Context(), message(t, kind, e), channel.Recipients()[0])
	require.NoError(t, err)
	var body struct {
		Text     any
		Template struct {
			Components []struct{ Parameters []struct{ Text string } }
		}
		Attachments []struct {
			Blocks []struct{ Text struct{ Text string } }
		}
	}
	got := server.Received()
	server.Forget()
	require.NoError(t, json.Unmarshal(got[0].Body, &body))
	switch text := body.Text.(type) {
	case map[string]any:
		return text["body"].(string)
	case nil:
		return body.Template.Components[0].Parameters[0].Text
	}
	if len(body.Attachments) > 0 {
		return body.Attachments[0].Blocks[1].Text.Text
	}
	return body.Text.(string)
}

// At the limit of each provider: a text that just fits is whole, and one that does not loses the end of its error and
// nothing else, no more of it than it must, and never a part of a character.
func TestTextsAtTheLimitLoseTheEndOfTheErrorOnly(t *testing.T) {
	server := notifytest.HTTP(t, notifytest.Say(http.StatusOK, "ok"))
	cloud, template := cloudConfig(server.URL), cloudConfig(server.URL)
	template.Template = "dataguardian_alert"
	for name, c := range map[string]struct {
		kind   domain.ChannelType
		config domain.ChannelConfig
		most   int
		keeps  []string
	}{
		"Evolution API":                 {domain.ChannelWhatsApp, evolutionConfig(server.URL), 4096, []string{"Start the server.", "Datasource: orders", "https://backup.example.com/api/executions/1"}},
		"Cloud API":                     {domain.ChannelWhatsApp, cloud, 4096, []string{"Start the server.", "Datasource: orders", "https://backup.example.com/api/executions/1"}},
		"Cloud API's template":          {domain.ChannelWhatsApp, template, 900, []string{"Start the server.", "Datasource: orders", "https://backup.example.com/api/executions/1"}},
		"JSON webhook":                  {domain.ChannelWebhook, webhookConfig(server.URL), 3000, []string{"What to do: Start the server."}},
		"Slack, where some are escaped": {domain.ChannelWebhook, domain.ChannelConfig{URL: server.URL + "/x", Format: domain.WebhookSlack}, 3000, []string{"What to do: Start the server."}},
	} {
		for _, piece := range []string{"x", "é", "日", "😀", "👩‍👩‍👧", "e\u0301", "&", "<"} {
			t.Run(name+" "+piece, func(t *testing.T) {
				send := func(n int, rest string) string {
					return sentBy(t, server, c.kind, c.config, bordering(piece, n, rest))
				}
				each := units(send(2, "")) - units(send(1, ""))
				empty := units(send(1, "")) - each
				room := c.most - empty // for the error
				whole := send(room/each, strings.Repeat("y", room%each))
				require.Equal(t, c.most, units(whole), "it fits to the last character")
				require.NotContains(t, whole, "…")
				for _, more := range []string{"y", "yy", "yyy", "😀", "é", strings.Repeat("日", 5000)} {
					cut := send(room/each, strings.Repeat("y", room%each)+more)
					require.LessOrEqual(t, units(cut), c.most)
					require.Greater(t, units(cut), c.most-2*each-2, "no more is lost than must be: %d", each)
					require.True(t, utf8.ValidString(cut))
					require.NotContains(t, cut, "\uFFFD")
					require.Equal(t, 1, strings.Count(cut, "…"))
					for _, kept := range c.keeps {
						require.Contains(t, cut, kept)
					}
				}
			})
		}
	}
}

func TestAMailAtItsLimitLosesTheEndOfTheErrorOnly(t *testing.T) {
	for _, piece := range []string{"x", "😀", "é"} {
		for n := range 3 {
			m := message(t, domain.ChannelSMTP, bordering(piece, 100_000, strings.Repeat("y", n)))
			require.LessOrEqual(t, units(m.Text), 100_000)
			require.Greater(t, units(m.Text), 99_990)
			require.Contains(t, m.Text, "What to do: Start the server.")
			require.Contains(t, m.Text, "Execution: https://backup.example.com/api/executions/1")
			require.LessOrEqual(t, utf8.RuneCountInString(m.Subject), 200)
		}
	}
}

// Characters counts as the strictest of those who count would.
func TestCharactersAreCountedInUTF16Units(t *testing.T) {
	for _, text := range odd {
		require.Equal(t, units(text), notify.Characters(text), fmt.Sprintf("%q", text))
		require.GreaterOrEqual(t, notify.Characters(text), utf8.RuneCountInString(text))
		for most := range 5 {
			require.LessOrEqual(t, units(notify.Cut(text, most)), most)
		}
	}
}
