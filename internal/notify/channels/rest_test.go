package channels_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/notify/notifytest"
)

// A server that has enough of everybody is told from one whose trouble is with one recipient.
func TestAServerThatWantsRestIsToldFromOneThatDoesNot(t *testing.T) {
	later := func(status int, when string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", when)
			w.WriteHeader(status)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		rest   bool
		after  time.Duration
	}{
		"too many, without a time":  {notifytest.Say(http.StatusTooManyRequests, ""), true, 0},
		"too many, until a date":    {later(http.StatusTooManyRequests, time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat)), true, 10 * time.Minute},
		"an outage that has an end": {later(http.StatusServiceUnavailable, "60"), true, time.Minute},
		"an outage":                 {notifytest.Say(http.StatusServiceUnavailable, ""), false, 0},
	} {
		server := notifytest.HTTP(t, c.answer)
		for kind, send := range httpChannels(t, server.URL) {
			_, err := send()
			require.Equal(t, c.rest, notify.WantsRest(err), "%s: %s: %v", name, kind, err)
			require.InDelta(t, c.after.Seconds(), notify.RetryAfter(err).Seconds(), 30, "%s: %s", name, kind)
		}
	}
	for code, rest := range map[string]bool{"130429": true, "131048": true, "131056": false, "131000": false} {
		server := notifytest.HTTP(t, notifytest.Say(http.StatusBadRequest, `{"error":{"message":"no","code":`+code+`}}`))
		_, err := open(t, domain.ChannelWhatsApp, cloudConfig(server.URL)).Send(t.Context(), message(t, domain.ChannelWhatsApp), "4915112345678")
		require.Equal(t, rest, notify.WantsRest(err), code)
	}
}
