package notifytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

type blockText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type block struct {
	Type     string      `json:"type"`
	Text     *blockText  `json:"text"`
	Fields   []blockText `json:"fields"`
	Elements []struct {
		Type     string    `json:"type"`
		ActionID string    `json:"action_id"`
		URL      string    `json:"url"`
		Text     blockText `json:"text"`
	} `json:"elements"`
}

// CheckBlockKit fails the test unless body is a message that Slack takes, by the limits of its reference
// (docs.slack.dev/reference/block-kit), and returns all of its texts.
func CheckBlockKit(t testing.TB, body []byte) string {
	t.Helper()
	var message struct {
		Text        string `json:"text"`
		Attachments []struct {
			Color  string  `json:"color"`
			Blocks []block `json:"blocks"`
		} `json:"attachments"`
	}
	require.NoError(t, json.Unmarshal(body, &message))
	require.NotEmpty(t, message.Text)
	require.Len(t, message.Attachments, 1)
	require.Regexp(t, `^#[0-9a-f]{6}$`, message.Attachments[0].Color)
	blocks := message.Attachments[0].Blocks
	require.NotEmpty(t, blocks)
	require.LessOrEqual(t, len(blocks), 50)
	var all strings.Builder
	all.WriteString(message.Text + "\n")
	say := func(text blockText, most int, kinds ...string) {
		require.Contains(t, kinds, text.Type)
		require.NotEmpty(t, text.Text)
		require.LessOrEqual(t, len(utf16.Encode([]rune(text.Text))), most)
		all.WriteString(text.Text + "\n")
	}
	for _, b := range blocks {
		switch b.Type {
		case "header":
			say(*b.Text, 150, "plain_text")
		case "section":
			require.True(t, b.Text != nil || len(b.Fields) > 0)
			if b.Text != nil {
				say(*b.Text, 3000, "mrkdwn", "plain_text")
			}
			require.LessOrEqual(t, len(b.Fields), 10)
			for _, field := range b.Fields {
				say(field, 2000, "mrkdwn", "plain_text")
			}
		case "actions":
			require.NotEmpty(t, b.Elements)
			for _, e := range b.Elements {
				require.Equal(t, "button", e.Type)
				require.NotEmpty(t, e.ActionID)
				require.LessOrEqual(t, len(e.URL), 3000)
				say(e.Text, 75, "plain_text")
				all.WriteString(e.URL + "\n")
			}
		default:
			require.Fail(t, "no block of ours", b.Type)
		}
	}
	return all.String()
}

// CheckSignature fails the test unless header is the signature of body, made just now, as docs/notifications.md
// tells receivers to check it.
func CheckSignature(t testing.TB, secret, header string, body []byte) {
	t.Helper()
	stamp, sum, found := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	require.True(t, found, header)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.Unix(seconds, 0), 5*time.Minute)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, body)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), sum)
}
