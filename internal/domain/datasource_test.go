package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAConnectionOverANetworkIsProtectedUnlessToldOtherwise(t *testing.T) {
	for host, want := range map[string]domain.SSLMode{
		"db.example.com":      domain.SSLRequire,
		"10.1.2.3":            domain.SSLRequire,
		"2001:db8::1":         domain.SSLRequire,
		"localhost.evil.test": domain.SSLRequire,
		"127.evil.test":       domain.SSLRequire,
		" localhost ":         domain.SSLDisable,
		"LOCALHOST":           domain.SSLDisable,
		"127.0.0.1":           domain.SSLDisable,
		"127.8.9.10":          domain.SSLDisable,
		"::1":                 domain.SSLDisable,
		"::ffff:127.0.0.1":    domain.SSLDisable,
		"/var/run/postgresql": domain.SSLDisable,
	} {
		t.Run(host, func(t *testing.T) {
			c := domain.ConnectionConfig{Host: host}
			c.Normalize(domain.Postgres)
			require.Equal(t, want, c.SSLMode)
		})
	}
	c := domain.ConnectionConfig{Host: "db.example.com", SSLMode: domain.SSLDisable}
	c.Normalize(domain.Postgres)
	require.Equal(t, domain.SSLDisable, c.SSLMode, "what was chosen stays")
}

func TestModesAreOrderedByWhatTheyProtect(t *testing.T) {
	modes := []domain.SSLMode{domain.SSLDisable, domain.SSLRequire, domain.SSLVerifyCA, domain.SSLVerifyFull}
	for i, a := range modes {
		for j, b := range modes {
			require.Equal(t, i < j, a.WeakerThan(b), "%s than %s", a, b)
		}
	}
	require.True(t, domain.SSLMode("").WeakerThan(domain.SSLRequire))
	require.False(t, domain.SSLMode("").WeakerThan(domain.SSLDisable))
}
