package channels_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/channels"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// leaky are channels over HTTP to a server that repeats their secret, which is the same for all.
func leaky(t *testing.T, url, hidden string) map[string]func() (string, error) {
	t.Helper()
	send := func(kind domain.ChannelType, config domain.ChannelConfig) func() (string, error) {
		return func() (string, error) {
			channel := calmly(t, kind, config)
			return channel.Send(t.Context(), message(t, kind), channel.Recipients()[0])
		}
	}
	evolution, cloud := evolutionConfig(url), cloudConfig(url)
	evolution.APIKey, cloud.AccessToken = hidden, hidden
	return map[string]func() (string, error){
		"the secret of a webhook":  send(domain.ChannelWebhook, domain.ChannelConfig{URL: url, Format: domain.WebhookJSON, Secret: hidden}),
		"a header of a webhook":    send(domain.ChannelWebhook, domain.ChannelConfig{URL: url, Format: domain.WebhookJSON, Headers: []domain.ChannelHeader{{Name: "Authorization", Value: "Bearer " + hidden}}}),
		"the address of a webhook": send(domain.ChannelWebhook, domain.ChannelConfig{URL: url + "/hook/" + hidden, Format: domain.WebhookJSON}),
		"the address of Slack's":   send(domain.ChannelWebhook, domain.ChannelConfig{URL: url + "/services/T0/B0/" + hidden, Format: domain.WebhookSlack}),
		"the key of Evolution API": send(domain.ChannelWhatsApp, evolution),
		"the token of Cloud API":   send(domain.ChannelWhatsApp, cloud),
		"a heartbeat's address":    func() (string, error) { return channels.Ping(t.Context(), url+"/"+hidden, time.Minute) },
	}
}

// requireHidden fails the test when as much as the first four characters of a secret are shown.
func requireHidden(t *testing.T, hidden, answer string, err error) {
	t.Helper()
	if err != nil {
		answer += failure.Message(err)
	}
	require.NotEmpty(t, answer)
	require.NotContains(t, answer, hidden[:4])
}

// A secret goes before the answer is cut, wherever it lies: of one that lies across the cut the beginning would stay.
func TestNoCutLeavesTheBeginningOfASecret(t *testing.T) {
	const hidden = "qzjk-signing/key-0123456789"
	answers := map[string]http.HandlerFunc{}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		for _, before := range []int{200, 275, 280, 285, 290, 295, 299, 300, 310} {
			answers["after "+strconv.Itoa(before)+" characters of a "+strconv.Itoa(status)] = notifytest.Say(status, strings.Repeat("é", before)+hidden+" and more")
		}
		for _, part := range []int{1, 4, 10, len(hidden) - 1, len(hidden)} { // nothing but this is left when the spaces are one
			answers["across the end of what is read, "+strconv.Itoa(part)+", "+strconv.Itoa(status)] = notifytest.Say(status, strings.Repeat(" ", 64<<10-part)+hidden+strings.Repeat("x", 1000))
		}
		answers["in an answer that breaks off, "+strconv.Itoa(status)] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "no such key: "+hidden[:12])
		}
		answers["as PHP writes it in JSON, "+strconv.Itoa(status)] = notifytest.Say(status, strings.Repeat("x", 280)+strings.ReplaceAll(hidden, "/", `\/`))
	}
	for name, answer := range answers {
		server := notifytest.HTTP(t, answer)
		for kind, send := range leaky(t, server.URL, strings.ReplaceAll(hidden, "/", "%2F")) {
			if !strings.Contains(kind, "address") {
				send = leaky(t, server.URL, hidden)[kind]
			}
			said, err := send()
			requireHidden(t, hidden, said, err)
			require.Len(t, server.Received(), 1, "%s: %s", name, kind)
			server.Forget()
		}
	}
}

func TestAMailServerThatRepeatsThePasswordIsNotQuotedWithIt(t *testing.T) {
	server := notifytest.Mail(t, domain.MailStartTLS)
	config := server.Config(domain.MailStartTLS)
	for _, before := range []int{0, 200, 230, 240, 245, 250, 255, 260, 265, 270, 275, 280, 290, 300} {
		server.FailWith(554, strings.Repeat("x", before)+notifytest.MailPassword+" AUTH PLAIN AGRhdGFndWFyZGlhbgBtYWlsLXBhc3N3b3JkLTE=")
		_, err := calmly(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), config.To[0])
		require.Error(t, err)
		require.NotContains(t, failure.Message(err), notifytest.MailPassword[:8])
		require.NotContains(t, failure.Message(err), "AGRhdGFn", "nor as it was signed in with")
	}
}

// A server may repeat a secret in the form that its own answer has.
func TestASecretIsHiddenInEveryFormInWhichServersRepeatIt(t *testing.T) {
	const hidden = `pä"ss/wö<r>&😀 d\"`
	for name, text := range map[string]string{
		"as it is": hidden, "in an address": "p%C3%A4%22ss%2Fw%C3%B6%3Cr%3E%26%F0%9F%98%80+d%5C%22", "in a path": "p%C3%A4%22ss%2Fw%C3%B6%3Cr%3E&%F0%9F%98%80%20d%5C%22",
		"in HTML": "pä&#34;ss/wö&lt;r&gt;&amp;😀 d\\&#34;", "in JSON": `pä\"ss/wö<r>&😀 d\\\"`, "in Go's JSON": `pä\"ss/wö\u003cr\u003e\u0026😀 d\\\"`,
		"in Python's JSON": `p\u00e4\"ss/w\u00f6<r>&\ud83d\ude00 d\\\"`, "in PHP's JSON": `p\u00e4\"ss\/w\u00f6<r>&\ud83d\ude00 d\\\"`,
	} {
		require.Equal(t, "no "+failure.Mask+" here", notify.Shown("no "+text+" here", false, []string{hidden}), name)
		for n := 1; n < len(text); n++ {
			require.Equal(t, "no "+failure.Mask, notify.Shown("no "+text[:n], true, []string{hidden}), "%s: %d", name, n)
		}
	}
}

func TestWhatIsShownIsOneShortLine(t *testing.T) {
	require.Equal(t, "a b c", notify.Shown(" a\r\n\tb\x00\x07 c ", false, nil))
	require.Equal(t, strings.Repeat("é", 299)+"…", notify.Shown(strings.Repeat("é", 301), false, nil))
	require.Equal(t, strings.Repeat("😀", 149)+"…", notify.Shown(strings.Repeat("😀", 151), false, nil))
	require.Equal(t, "\uFFFDx", notify.Shown("\xffx\xf0\x9f", true, nil), "a character that is cut in two is left out")
	require.Equal(t, "key "+failure.Mask, notify.Shown("key pässw\xc3", true, []string{"pässwörter"}))
	require.Equal(t, "key "+failure.Mask, notify.Shown("key two\nwords", false, []string{"two  words"}))
	require.Equal(t, "https://app:"+failure.Mask, notify.Shown("https://app:hunt", true, nil), "credentials by their form")
}

// Both providers repeat the number in what they answer, also where they take the message.
func TestTheNumbersOfAChannelAreNotShown(t *testing.T) {
	const number = "4915112345678"
	for name, text := range map[string]string{
		"Evolution API's answer": notifytest.EvolutionOK, "Cloud API's answer": notifytest.CloudOK,
		"with a plus": "no such number: +" + number, "with another country's way": "no such number: 49015112345678",
		"in the id of a message": "wamid.HBgN" + base64.StdEncoding.EncodeToString([]byte(number+"\x15\x02\x00")),
	} {
		for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
			server := notifytest.HTTP(t, notifytest.Say(status, text))
			for _, config := range []domain.ChannelConfig{evolutionConfig(server.URL), cloudConfig(server.URL)} {
				said, err := calmly(t, domain.ChannelWhatsApp, config).Send(t.Context(), message(t, domain.ChannelWhatsApp), number)
				require.Equal(t, status != http.StatusOK, err != nil)
				if err != nil {
					said += failure.Message(err)
				}
				require.Contains(t, said, failure.Mask, name)
				require.NotContains(t, said, "12345678", name)
				require.NotContains(t, said, base64.StdEncoding.EncodeToString([]byte(number[:6])), name)
			}
		}
	}
}

func TestASecretIsHiddenAsOtherLanguagesWriteIt(t *testing.T) {
	const hidden = `it's "pä/ß+&<`
	for name, text := range map[string]string{
		"HTML of Python": "it&#x27;s &quot;pä/ß+&amp;&lt;", "HTML of PHP": "it&#039;s &quot;pä/ß+&amp;&lt;", "XML": "it&apos;s &quot;pä/ß+&amp;&lt;",
		"JSON of PHP with JSON_HEX": `it\u0027s \u0022p\u00e4\/\u00df+\u0026\u003C`, "JSON of .NET": `it\u0027s \u0022p\u00E4/\u00DF\u002B\u0026\u003C`,
		"JSON with \\u0022": `it's \u0022pä/ß+&<`, "JSON in upper case": `it's \"p\u00E4/\u00DF+&<`,
		"an address in lower case": "it%27s+%22p%c3%a4%2f%c3%9f%2b%26%3c", "an address with %20": "it%27s%20%22p%C3%A4%2F%C3%9F%2B%26%3C",
		"base64 without =": base64.RawStdEncoding.EncodeToString([]byte(hidden)), "base64": base64.StdEncoding.EncodeToString([]byte(hidden)),
	} {
		require.Equal(t, "no "+failure.Mask+" here", notify.Shown("no "+text+" here", false, []string{hidden}), name)
	}
}
