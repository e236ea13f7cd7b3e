package outbound_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/outbound"
)

func TestAddressesOfTheLinkAndOfMetadataServicesAreRefused(t *testing.T) {
	client := outbound.Client(time.Second)
	for _, address := range []string{
		"169.254.169.254", "[fe80::1%25lo]", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "100.100.100.200", "224.0.0.1",
	} {
		_, err := client.Get("http://" + address + "/latest/meta-data/")
		require.ErrorIs(t, err, outbound.ErrForbiddenAddress, address)
	}
}

func TestARedirectIsAnAnswerAndNotFollowed(t *testing.T) {
	followed := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/secret"
		http.Redirect(w, r, "/secret", http.StatusFound)
	}))
	defer server.Close()
	answer, err := outbound.Client(5 * time.Second).Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusFound, answer.StatusCode)
	require.False(t, followed)
}

func TestASlowServerIsGivenUpOn(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer server.Close()
	defer close(stop)
	_, err := outbound.Client(50 * time.Millisecond).Get(server.URL)
	require.Error(t, err)
}
