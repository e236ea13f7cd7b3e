package channels_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// At whatever moment a mail server goes bad: it is told in time, as something that may pass, and eats no memory.
func TestAMailServerThatGoesBadIsGivenUpOnAtEveryMoment(t *testing.T) {
	for how, c := range map[string]struct {
		bad  func(net.Conn)
		want failure.Class
	}{
		"it says nothing":                 {notifytest.Silent, failure.Timeout},
		"it trickles":                     {notifytest.Trickling, failure.Timeout},
		"its line does not end":           {notifytest.EndlessLine, failure.Unreachable},
		"its answer has no last line":     {notifytest.EndlessLines, failure.Unreachable},
		"it hangs up without a last word": {notifytest.HangsUp, failure.Unreachable},
	} {
		for _, stage := range notifytest.MailStages {
			t.Run(how+" at "+stage, func(t *testing.T) {
				t.Parallel()
				address := notifytest.BadMail(t, stage, c.bad)
				config := domain.ChannelConfig{Host: "127.0.0.1", Port: address.Port, Encryption: domain.MailPlain, From: "a@example.com", To: []string{"b@example.com"}}
				started := time.Now()
				_, err := open(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), "b@example.com")
				require.Equal(t, c.want, failure.ClassOf(err), "%v", err)
				require.Less(t, time.Since(started), 5*time.Second)
				require.Less(t, len(err.Error()), 1000, "what it said is not repeated")
				require.NotEmpty(t, failure.HintOf(err))
			})
		}
	}
}

// The same in the middle of the handshake that encrypts the connection.
func TestAMailServerThatGoesBadInTheHandshakeIsGivenUpOn(t *testing.T) {
	for how, c := range map[string]struct {
		encryption, stage string
		bad               func(net.Conn)
		want              failure.Class
	}{
		"TLS, it says nothing":                 {domain.MailTLS, "CONNECT", notifytest.Silent, failure.Timeout},
		"TLS, it talks without an end":         {domain.MailTLS, "CONNECT", notifytest.EndlessLine, failure.ConfigInvalid},
		"TLS, it hangs up":                     {domain.MailTLS, "CONNECT", notifytest.HangsUp, failure.Unreachable},
		"STARTTLS, it says nothing":            {domain.MailStartTLS, notifytest.AtHandshake, notifytest.Silent, failure.Timeout},
		"STARTTLS, it talks without an end":    {domain.MailStartTLS, notifytest.AtHandshake, notifytest.EndlessLine, failure.ConfigInvalid},
		"STARTTLS, it hangs up":                {domain.MailStartTLS, notifytest.AtHandshake, notifytest.HangsUp, failure.Unreachable},
		"STARTTLS, it says nothing before":     {domain.MailStartTLS, "EHLO", notifytest.Silent, failure.Timeout},
		"TLS, a byte of it comes now and then": {domain.MailTLS, "CONNECT", trickledHandshake, failure.Timeout},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			address := notifytest.BadMail(t, c.stage, c.bad)
			config := domain.ChannelConfig{
				Host: "127.0.0.1", Port: address.Port, Encryption: c.encryption, From: "a@example.com", To: []string{"b@example.com"},
				Username: "app", Password: "mail-password-1",
			}
			started := time.Now()
			_, err := open(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), "b@example.com")
			require.Equal(t, c.want, failure.ClassOf(err), "%v", err)
			require.Less(t, time.Since(started), 5*time.Second)
			require.NotEmpty(t, failure.HintOf(err))
			require.NotContains(t, failure.Message(err), "mail-password-1")
		})
	}
}

// trickledHandshake begins a record of a TLS handshake that takes for ever.
func trickledHandshake(conn net.Conn) {
	for _, b := range append([]byte{22, 3, 3, 0x20, 0}, make([]byte, 8<<10)...) {
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAMailServerThatFloodsEatsNoMemory(t *testing.T) {
	address := notifytest.BadMail(t, "EHLO", notifytest.EndlessLines)
	config := domain.ChannelConfig{Host: "127.0.0.1", Port: address.Port, Encryption: domain.MailPlain, From: "a@example.com", To: []string{"b@example.com"}}
	m := message(t, domain.ChannelSMTP)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := open(t, domain.ChannelSMTP, config).Send(t.Context(), m, "b@example.com")
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "says more than a mail server has to")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "all that was ever allocated for it, the server's own included")
}

// A long refusal is told by its beginning.
func TestALongRefusalOfAMailServerIsCutShort(t *testing.T) {
	address := notifytest.BadMail(t, "RCPT", func(conn net.Conn) {
		for range 1000 {
			_, _ = conn.Write([]byte("550-no such user here, and this is why\r\n"))
		}
		_, _ = conn.Write([]byte("550 done\r\n"))
		notifytest.Silent(conn)
	})
	config := domain.ChannelConfig{Host: "127.0.0.1", Port: address.Port, Encryption: domain.MailPlain, From: "a@example.com", To: []string{"b@example.com"}}
	_, err := open(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), "b@example.com")
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "no such user here")
	require.Less(t, len(err.Error()), 1000)
}
