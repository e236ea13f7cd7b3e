package channels_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// Every way of signing in works with both encryptions, and with a wrong password is told as that.
func TestMailIsSignedInForByEveryMechanism(t *testing.T) {
	for _, encryption := range []string{domain.MailStartTLS, domain.MailTLS} {
		server := notifytest.Mail(t, encryption)
		good := server.Config(encryption)
		wrong := good
		wrong.Password = "wrong-password-1"
		m := message(t, domain.ChannelSMTP)
		for i, mechanism := range notifytest.Mechanisms {
			t.Run(mechanism+" with "+encryption, func(t *testing.T) {
				server.Offer(mechanism)
				_, err := calmly(t, domain.ChannelSMTP, good).Send(t.Context(), m, good.To[0])
				require.NoError(t, err)
				require.Equal(t, notifytest.Mechanisms[:i+1], server.SignedIn())
				_, err = calmly(t, domain.ChannelSMTP, wrong).Send(t.Context(), m, wrong.To[0])
				require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
				require.NotContains(t, failure.Message(err), "wrong-password")
				messages, _, _ := server.Received()
				require.Len(t, messages, i+1)
			})
		}
	}
}

// Of several the best is taken, so that a password is not shown to a server that can do without.
func TestMailIsSignedInForByTheBestMechanism(t *testing.T) {
	server := notifytest.Mail(t, domain.MailStartTLS)
	config := server.Config(domain.MailStartTLS)
	all := notifytest.Mechanisms
	for i := range all {
		offered := append([]string{"GSSAPI", "NTLM"}, all[i:]...)
		for l, r := 2, len(offered)-1; l < r; l, r = l+1, r-1 { // whatever the order
			offered[l], offered[r] = offered[r], offered[l]
		}
		server.Offer(offered...)
		_, err := calmly(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), config.To[0])
		require.NoError(t, err, "%v", offered)
		require.Equal(t, all[:i+1], server.SignedIn())
	}
	server.Offer("GSSAPI", "XOAUTH2")
	_, err := calmly(t, domain.ChannelSMTP, config).Send(t.Context(), message(t, domain.ChannelSMTP), config.To[0])
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
	require.NotEmpty(t, failure.HintOf(err))
}
