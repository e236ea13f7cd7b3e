package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOtherOriginsAreServedOnlyWhereTheyAreNamed(t *testing.T) {
	const friend, stranger = "https://console.example.com", "https://evil.example.com"
	preflight := []string{"Access-Control-Request-Method", "PATCH"}
	t.Run("nobody is named", func(t *testing.T) {
		f := newFixture(t)
		answer := f.call("GET", "/api/auth/status", nil, "Origin", friend).ok(200)
		require.Empty(t, answer.header.Get("Access-Control-Allow-Origin"))
		f.call("OPTIONS", "/api/datasources", nil, append(preflight, "Origin", friend)...).problem(http.StatusMethodNotAllowed)
	})
	t.Run("one is named", func(t *testing.T) {
		f := newFixture(t, func(o *Options) { o.CORSOrigins = []string{friend} })
		answer := f.call("GET", "/api/auth/status", nil, "Origin", friend).ok(200)
		require.Equal(t, friend, answer.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, answer.header.Get("Access-Control-Expose-Headers"), "ETag")
		require.Empty(t, answer.header.Get("Access-Control-Allow-Credentials"))
		answer = f.call("OPTIONS", "/api/datasources", nil, append(preflight, "Origin", friend)...).ok(http.StatusNoContent)
		require.Contains(t, answer.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
		require.Contains(t, answer.header.Get("Access-Control-Allow-Headers"), approvalHeader)
		require.Contains(t, answer.header.Get("Access-Control-Expose-Headers"), "Location")
		require.Equal(t, "Origin", answer.header.Get("Vary"))
		answer = f.call("GET", "/api/auth/status", nil, "Origin", stranger).ok(200)
		require.Empty(t, answer.header.Get("Access-Control-Allow-Origin"))
		f.call("OPTIONS", "/api/datasources", nil, append(preflight, "Origin", stranger)...).problem(http.StatusMethodNotAllowed)
	})
}
