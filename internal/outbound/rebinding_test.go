package outbound_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/dataguardian/dataguardian/internal/outbound"
)

// names is a name server that answers every question for an IPv4 address with the next of its addresses, and goes on
// with the last.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(packet[:n]) != nil || len(question.Questions) != 1 {
				continue
			}
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true}, Questions: question.Questions}
			if asked := question.Questions[0]; asked.Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: asked.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[0]).As4()},
				}}
				addresses = addresses[min(1, len(addresses)-1):]
			}
			if packed, err := answer.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// Whatever a name stands for when somebody looks, the address that is connected to decides.
func TestANameThatComesToStandForAMetadataServiceIsRefused(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	net.DefaultResolver = names(t, "127.0.0.1", "169.254.169.254")
	client := outbound.Client(5 * time.Second)
	answer, err := client.Get("http://rebinding.example:" + port)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	_, err = client.Get("http://rebinding.example:" + port)
	require.ErrorIs(t, err, outbound.ErrForbiddenAddress)
	_, err = outbound.Dialer(outbound.Options{Timeout: time.Second}).DialContext(t.Context(), "tcp", "rebinding.example:25")
	require.ErrorIs(t, err, outbound.ErrForbiddenAddress, "also for mail")
	require.True(t, strings.Contains(err.Error(), "169.254.169.254"))
}
