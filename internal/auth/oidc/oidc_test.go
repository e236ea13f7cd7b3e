package oidc_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth/oidc"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// somebody is a user whose ID token says what a test wants.
type somebody struct {
	*mockoidc.MockUser
	change func(*mockoidc.IDTokenClaims)
	more   jwt.MapClaims
}

func (u somebody) Claims(scope []string, claims *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	if u.change != nil {
		u.change(claims)
	}
	if u.more == nil {
		return u.MockUser.Claims(scope, claims)
	}
	out := jwt.MapClaims{"iss": claims.Issuer, "sub": u.Subject, "aud": claims.Audience, "exp": claims.ExpiresAt.Unix(), "iat": claims.IssuedAt.Unix(), "nonce": claims.Nonce}
	for name, value := range u.more {
		out[name] = value
	}
	return out, nil
}

func start(t *testing.T, change ...func(*oidc.Options)) (*oidc.Provider, *mockoidc.MockOIDC) {
	t.Helper()
	m, err := mockoidc.Run()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Shutdown()) })
	o := oidc.Options{
		Issuer: m.Issuer(), ClientID: m.ClientID, ClientSecret: m.ClientSecret, RedirectURL: "http://127.0.0.1/callback",
		Scopes: []string{"email", "groups"}, RoleClaim: "groups", Roles: map[string][]string{"a": {"admin", "operator"}, "b": {"operator"}},
	}
	for _, c := range change {
		c(&o)
	}
	return oidc.New(o), m
}

// code is what the provider sends back with the browser.
func code(t *testing.T, address string) string {
	t.Helper()
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Get(address) //nolint:noctx // a test
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusFound, answer.StatusCode)
	back, err := url.Parse(answer.Header.Get("Location"))
	require.NoError(t, err)
	return back.Query().Get("code")
}

func TestAnIdentityIsWhatTheIDTokenSays(t *testing.T) {
	p, m := start(t)
	m.QueueUser(&mockoidc.MockUser{Subject: "1", Email: "a@example.com", EmailVerified: true, Groups: []string{"b", "a", "c"}})
	attempt, address, err := p.Begin(t.Context())
	require.NoError(t, err)
	require.True(t, attempt.Matches(attempt.State))
	require.False(t, attempt.Matches(""))
	require.False(t, oidc.Attempt{}.Matches(""))
	got, err := p.Complete(t.Context(), attempt, code(t, address))
	require.NoError(t, err)
	require.Equal(t, oidc.Identity{Issuer: m.Issuer(), Subject: "1", Email: "a@example.com", EmailVerified: true, Roles: []string{"admin", "operator"}}, got)
}

func TestRolesComeFromAClaimInsideAnother(t *testing.T) {
	for name, tc := range map[string]struct {
		claim string
		more  jwt.MapClaims
	}{
		"an object":                     {"realm_access.roles", jwt.MapClaims{"realm_access": map[string]any{"roles": []string{"b"}}}},
		"a text":                        {"role", jwt.MapClaims{"role": "b"}},
		"a claim whose name is address": {"https://example.com/roles", jwt.MapClaims{"https://example.com/roles": []string{"b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, m := start(t, func(o *oidc.Options) { o.RoleClaim = tc.claim })
			tc.more["email"], tc.more["email_verified"] = "a@example.com", "true" // as text, as some providers write it
			m.QueueUser(somebody{MockUser: mockoidc.DefaultUser(), more: tc.more})
			attempt, address, err := p.Begin(t.Context())
			require.NoError(t, err)
			got, err := p.Complete(t.Context(), attempt, code(t, address))
			require.NoError(t, err)
			require.Equal(t, []string{"operator"}, got.Roles)
			require.True(t, got.EmailVerified)
		})
	}
}

func TestAnIDTokenThatIsNotForThisSignInIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*mockoidc.IDTokenClaims)
		attempt func(*oidc.Attempt)
		more    jwt.MapClaims
	}{
		"another audience":     {change: func(c *mockoidc.IDTokenClaims) { c.Audience = jwt.ClaimStrings{"another"} }},
		"another issuer":       {change: func(c *mockoidc.IDTokenClaims) { c.Issuer = "https://evil.example.com" }},
		"an expired token":     {change: func(c *mockoidc.IDTokenClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Hour)) }},
		"another party":        {more: jwt.MapClaims{"azp": "another"}},
		"another nonce":        {attempt: func(a *oidc.Attempt) { a.Nonce = "another" }},
		"no nonce at all":      {change: func(c *mockoidc.IDTokenClaims) { c.Nonce = "" }},
		"another verifier":     {attempt: func(a *oidc.Attempt) { a.Verifier += "x" }},
		"another access token": {more: jwt.MapClaims{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, m := start(t)
			m.QueueUser(somebody{MockUser: mockoidc.DefaultUser(), change: tc.change, more: tc.more})
			attempt, address, err := p.Begin(t.Context())
			require.NoError(t, err)
			if tc.attempt != nil {
				tc.attempt(&attempt)
			}
			_, err = p.Complete(t.Context(), attempt, code(t, address))
			require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
			require.NotContains(t, err.Error(), m.ClientSecret)
		})
	}
}

// otherKeys gives the keys of another provider for those of the one that is asked.
type otherKeys struct{ keys []byte }

func (o otherKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, mockoidc.JWKSEndpoint) {
		return http.DefaultTransport.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(o.keys)), Request: r}, nil
}

func TestATokenOfAnotherKeyIsRefused(t *testing.T) {
	other, err := mockoidc.RandomKeypair(2048)
	require.NoError(t, err)
	keys, err := other.JWKS()
	require.NoError(t, err)
	p, _ := start(t, func(o *oidc.Options) { o.HTTPClient = &http.Client{Transport: otherKeys{keys}} })
	attempt, address, err := p.Begin(t.Context())
	require.NoError(t, err)
	_, err = p.Complete(t.Context(), attempt, code(t, address))
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
}

func TestAFurtherAudienceIsAcceptedWhereItIsConfigured(t *testing.T) {
	p, m := start(t, func(o *oidc.Options) { o.Audiences = []string{"another"} })
	m.QueueUser(somebody{MockUser: mockoidc.DefaultUser(), change: func(c *mockoidc.IDTokenClaims) { c.Audience = jwt.ClaimStrings{"another"} }})
	attempt, address, err := p.Begin(t.Context())
	require.NoError(t, err)
	_, err = p.Complete(t.Context(), attempt, code(t, address))
	require.NoError(t, err)
}

// userinfo gives an answer of its own where the provider is asked about the user.
type userinfo struct{ answer string }

func (u userinfo) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, mockoidc.UserinfoEndpoint) {
		return http.DefaultTransport.RoundTrip(r)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(u.answer)), Request: r}, nil
}

func TestThatAnEmailIsVerifiedIsAboutNoOther(t *testing.T) {
	for name, tc := range map[string]struct {
		token    jwt.MapClaims
		info     string
		email    string
		verified bool
	}{
		"the same email":             {jwt.MapClaims{"email": "a@example.com"}, `{"sub":"1","email":"A@example.com","email_verified":true}`, "a@example.com", true},
		"another email":              {jwt.MapClaims{"email": "a@example.com"}, `{"sub":"1","email":"b@example.com","email_verified":true}`, "a@example.com", false},
		"no email beside it":         {jwt.MapClaims{"email": "a@example.com"}, `{"sub":"1","email_verified":true}`, "a@example.com", false},
		"no email in the ID token":   {jwt.MapClaims{"email_verified": true}, `{"sub":"1","email":"b@example.com"}`, "b@example.com", false},
		"all of it in the other one": {jwt.MapClaims{"groups": []string{"a"}}, `{"sub":"1","email":"b@example.com","email_verified":true}`, "b@example.com", true},
	} {
		t.Run(name, func(t *testing.T) {
			p, m := start(t, func(o *oidc.Options) { o.HTTPClient = &http.Client{Transport: userinfo{tc.info}} })
			m.QueueUser(somebody{MockUser: &mockoidc.MockUser{Subject: "1"}, more: tc.token})
			attempt, address, err := p.Begin(t.Context())
			require.NoError(t, err)
			got, err := p.Complete(t.Context(), attempt, code(t, address))
			require.NoError(t, err)
			require.Equal(t, tc.email, got.Email)
			require.Equal(t, tc.verified, got.EmailVerified)
		})
	}
}
