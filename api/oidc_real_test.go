package api

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/auth/oidc"
	"github.com/dataguardian/dataguardian/internal/auth/oidc/oidcserver"
)

// TestSignInThroughARealProvider: the other tests have a provider that answers as they tell it to, right or wrong. This one is a
// program that others use: it refuses what is not as the standard says, and gives emails and groups at its userinfo endpoint alone.
func TestSignInThroughARealProvider(t *testing.T) {
	const back = "http://127.0.0.1/api/auth/oidc/callback"
	provider := oidcserver.Start(t, back)
	f := signedIn(t, func(options *Options) {
		options.OIDC = oidc.New(oidc.Options{
			Issuer: provider.Issuer, ClientID: oidcserver.ClientID, ClientSecret: oidcserver.ClientSecret, RedirectURL: back,
			Scopes: []string{"openid", "email", "profile"}, RoleClaim: "groups", Roles: map[string][]string{"admins": {"admin"}, "ops": {"operator"}},
		})
	})
	signIn := func() reply {
		begun, answer := browse(t, f.http.URL+"/api/auth/oidc/login", "")
		require.Equal(t, http.StatusFound, answer.status, answer.text)
		returned, err := url.Parse(provider.SignIn(begun.Header.Get("Location"), back))
		require.NoError(t, err)
		_, session := browse(t, f.http.URL+returned.RequestURI(), begun.Cookies()[0].Name+"="+begun.Cookies()[0].Value)
		return session
	}
	provider.SetGroups("others")
	require.Contains(t, signIn().problem(http.StatusForbidden).Detail, "none of your groups has a role here")

	provider.SetGroups("ops", "others")
	session := signIn().ok(http.StatusOK)
	user := *f
	user.token = session.get("token").(string)
	me := user.call("GET", "/api/auth/me", nil).ok(http.StatusOK)
	require.Equal(t, oidcserver.UserEmail, me.get("email"))
	require.Contains(t, me.text, string(auth.BackupJobsRun))
	require.NotContains(t, me.text, string(auth.AccessManage))

	provider.SetGroups("admins")
	again := signIn().ok(http.StatusOK)
	require.Equal(t, session.get("user", "id"), again.get("user", "id"))
	require.Contains(t, again.text, string(auth.AccessManage), "roles follow the groups at each sign-in")

	provider.SetGroups()
	signIn().problem(http.StatusForbidden)
	user.call("GET", "/api/auth/me", nil).problem(http.StatusUnauthorized)
}
