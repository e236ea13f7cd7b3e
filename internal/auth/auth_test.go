package auth_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
)

func TestSystemRoles(t *testing.T) {
	roles := auth.SystemRoles()
	holds := func(role string, p auth.Permission) bool {
		names := make([]string, 0)
		for _, held := range roles[role] {
			names = append(names, string(held))
		}
		return auth.NewGrants(names).Allows(p)
	}
	require.Len(t, roles, 3)
	for _, p := range auth.Permissions() {
		name := string(p)
		require.True(t, holds(auth.RoleAdmin, p), "admin lacks %s", p)
		require.Equal(t, strings.HasSuffix(name, ".read") && p != auth.AuditRead, holds(auth.RoleReadonly, p), "readonly and %s", p)
		if strings.HasSuffix(name, ".write") || p == auth.AccessManage {
			require.False(t, holds(auth.RoleOperator, p), "operator must not hold %s", p)
		}
	}
	for _, p := range []auth.Permission{auth.BackupJobsRun, auth.BackupsRestore, auth.ExecutionsControl, auth.StorageDownload, auth.DatasourcesQuery, auth.NotificationsManage} {
		require.True(t, holds(auth.RoleOperator, p), "operator lacks %s", p)
	}
}

func TestGrants(t *testing.T) {
	grants := auth.NewGrants([]string{"datasources.read", "no.such", "storage.read"})
	require.True(t, grants.Allows(auth.DatasourcesRead))
	require.True(t, grants.Allows(auth.DatasourcesWrite, auth.StorageRead), "one of two alternatives is enough")
	require.False(t, grants.Allows(auth.DatasourcesWrite))
	require.False(t, grants.Allows(), "no alternative is never allowed")
	require.False(t, grants.Allows("no.such"), "an unknown permission grants nothing")
	require.Equal(t, []auth.Permission{auth.DatasourcesRead, auth.StorageRead}, grants.List())
}

func TestPasswordPolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		password string
		refused  bool
	}{
		"an empty password is refused":                  {"", true},
		"eleven characters are too short":               {"elevenchars", true},
		"twelve characters are enough":                  {"twelve chars", false},
		"characters count, not bytes":                   {strings.Repeat("é", 12), false},
		"eleven characters of two bytes are too short":  {strings.Repeat("é", 11), true},
		"1024 bytes are accepted":                       {strings.Repeat("x", 1024), false},
		"1025 bytes are too long":                       {strings.Repeat("x", 1025), true},
		"bytes that are no text are refused":            {"\xff\xfe" + strings.Repeat("x", 20), true},
		"spaces and punctuation are as good as letters": {"  --  ..  ,,", false},
	} {
		t.Run(name, func(t *testing.T) {
			found := auth.CheckPassword("password", tc.password)
			require.Equal(t, tc.refused, len(found) > 0)
			if tc.password != "" {
				require.NotContains(t, found.Error(), tc.password)
			}
		})
	}
}

func TestPasswords(t *testing.T) {
	ctx := context.Background()
	passwords, err := auth.NewPasswords()
	require.NoError(t, err)
	hash, err := passwords.Hash(ctx, "correct horse battery")
	require.NoError(t, err)
	require.Contains(t, hash, "$argon2id$")
	require.NotContains(t, hash, "correct")

	for name, tc := range map[string]struct {
		password, hash string
		matches        bool
	}{
		"the right password matches":              {"correct horse battery", hash, true},
		"a wrong password does not":               {"correct horse batterx", hash, false},
		"nothing matches a user without a hash":   {"correct horse battery", "", false},
		"an empty password does not match either": {"", hash, false},
	} {
		t.Run(name, func(t *testing.T) {
			match, err := passwords.Matches(ctx, tc.password, tc.hash)
			require.NoError(t, err)
			require.Equal(t, tc.matches, match)
		})
	}

	again, err := passwords.Hash(ctx, "correct horse battery")
	require.NoError(t, err)
	require.NotEqual(t, hash, again, "every hash has its own salt")
}

func TestToken(t *testing.T) {
	token, hash, err := auth.NewToken()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(token, "dgs_"))
	require.Equal(t, auth.TokenHash(sha256.Sum256([]byte(token))), hash)
	found, ok := auth.HashToken(token)
	require.True(t, ok)
	require.Equal(t, hash, found)
	for _, text := range []string{"", "dgs_", "dgs_short", strings.TrimPrefix(token, "dgs_"), token + "x"} {
		_, ok := auth.HashToken(text)
		require.False(t, ok, "%q is no token", text)
	}
}

func TestBearerToken(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer  abc ": "abc", "Bearer": "", "Bearer ": "", "Basic abc": "", "": "", "abc": "",
	} {
		token, ok := auth.BearerToken(header)
		require.Equal(t, want, token, "header %q", header)
		require.Equal(t, want != "", ok, "header %q", header)
	}
}

func TestThrottle(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	limits := auth.ThrottleLimits{AccountBurst: 3, AccountInterval: 10 * time.Second, AddressBurst: 5, AddressInterval: time.Second, MaxEntries: 50}
	fresh := func() *auth.Throttle { return auth.NewThrottle(limits, func() time.Time { return clock }) }

	t.Run("a fourth attempt at one account waits, and one more is let through later", func(t *testing.T) {
		throttle := fresh()
		for range 3 {
			require.Zero(t, throttle.Allow("a@example.com", "192.0.2.1"))
		}
		require.Equal(t, 10*time.Second, throttle.Allow("A@example.com ", "192.0.2.1"))
		clock = clock.Add(10 * time.Second)
		require.Zero(t, throttle.Allow("a@example.com", "192.0.2.1"))
		require.Positive(t, throttle.Allow("a@example.com", "192.0.2.1"))
	})
	t.Run("an attacker elsewhere does not lock the person out", func(t *testing.T) {
		throttle := fresh()
		for range 4 {
			throttle.Allow("a@example.com", "192.0.2.1")
		}
		require.Zero(t, throttle.Allow("a@example.com", "192.0.2.2"))
	})
	t.Run("many accounts from one address wait too", func(t *testing.T) {
		throttle := fresh()
		for i := range 5 {
			require.Zero(t, throttle.Allow(fmt.Sprintf("u%d@example.com", i), "192.0.2.1"))
		}
		require.Positive(t, throttle.Allow("another@example.com", "192.0.2.1"))
	})
	t.Run("addresses of one IPv6 network count together", func(t *testing.T) {
		throttle := fresh()
		for i := range 5 {
			require.Zero(t, throttle.Allow(fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("2001:db8::%d", i+1)))
		}
		require.Positive(t, throttle.Allow("another@example.com", "2001:db8::99"))
		require.Zero(t, throttle.Allow("another@example.com", "2001:db8:0:1::99"))
	})
	t.Run("a good sign-in forgets the failures before it", func(t *testing.T) {
		throttle := fresh()
		for range 3 {
			throttle.Allow("a@example.com", "192.0.2.1")
		}
		throttle.Succeeded("a@example.com", "192.0.2.1")
		require.Zero(t, throttle.Allow("a@example.com", "192.0.2.1"))
	})
	t.Run("memory stays bounded whatever is tried", func(t *testing.T) {
		throttle := fresh()
		for i := range 1000 {
			throttle.Allow(fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("192.0.%d.%d", i/250, i%250))
		}
		require.LessOrEqual(t, throttle.Len(), 50)
	})
}
