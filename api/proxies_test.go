package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/api/middleware"
)

func TestTheAddressOfAClientIsWhatTrustedProxiesTell(t *testing.T) {
	for name, test := range map[string]struct {
		trusted   []string
		peer      string
		forwarded []string // X-Forwarded-For, a header each
		want      string
	}{
		"nobody is trusted":                              {nil, "192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"},
		"nobody is trusted, not even this machine":       {nil, "127.0.0.1:1", []string{"198.51.100.7"}, "127.0.0.1"},
		"another peer is not believed":                   {[]string{"10.0.0.0/8"}, "192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"},
		"the proxy is":                                   {[]string{"10.0.0.1"}, "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"what the client itself forwards counts nothing": {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"a chain of proxies":                             {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.7, 10.0.0.2, 10.0.0.3"}, "198.51.100.7"},
		"a client in the network of the proxies":         {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"10.0.0.5, 10.0.0.2"}, "10.0.0.5"},
		"several headers":                                {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"IPv6":                                           {[]string{"fd00::/8"}, "[fd00::1]:1", []string{"2001:db8::7, fd00::2"}, "2001:db8::7"},
		"IPv4 of an IPv6 socket":                         {[]string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"nonsense":                                       {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"'; DROP TABLE users; --"}, "10.0.0.1"},
		"nonsense behind an address":                     {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"198.51.100.7, nonsense"}, "10.0.0.1"},
		"nothing":                                        {[]string{"10.0.0.0/8"}, "10.0.0.1:1", nil, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, clientAddress(t, test.trusted, test.peer, test.forwarded, nil))
		})
	}
	t.Run("no other header is believed", func(t *testing.T) {
		for _, header := range []string{"X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip", "X-Appengine-Remote-Addr", "X-Client-Ip"} {
			require.Equal(t, "10.0.0.1", clientAddress(t, []string{"10.0.0.0/8"}, "10.0.0.1:1", nil, http.Header{header: {"198.51.100.7"}}), header)
		}
	})
	t.Run("a proxy that is none is refused at start", func(t *testing.T) {
		_, err := newServer(Options{TrustedProxies: []string{"nonsense"}})
		require.ErrorContains(t, err, "trusted proxies")
	})
}

// clientAddress is what the API takes for the address of a client.
func clientAddress(t *testing.T, trusted []string, peer string, forwarded []string, header http.Header) string {
	t.Helper()
	s, err := newServer(Options{TrustedProxies: trusted})
	require.NoError(t, err)
	s.engine.GET("/who", func(c *gin.Context) { c.String(http.StatusOK, middleware.RequestOf(c.Request.Context()).IP) })
	request := httptest.NewRequest(http.MethodGet, "/who", nil)
	request.RemoteAddr = peer
	for name, values := range header {
		request.Header[name] = values
	}
	for _, one := range forwarded {
		request.Header.Add("X-Forwarded-For", one)
	}
	answer := httptest.NewRecorder()
	s.engine.ServeHTTP(answer, request)
	require.Equal(t, http.StatusOK, answer.Code)
	return answer.Body.String()
}
