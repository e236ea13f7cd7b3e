package api

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/auth/oidc"
	"github.com/dataguardian/dataguardian/internal/cli"
)

// provided is an API with an OpenID Connect provider, both in this process.
type provided struct {
	*fixture
	provider *mockoidc.MockOIDC
}

func withProvider(t *testing.T, change ...func(*oidc.Options)) provided {
	t.Helper()
	m, err := mockoidc.Run()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Shutdown()) })
	o := oidc.Options{
		Issuer: m.Issuer(), ClientID: m.ClientID, ClientSecret: m.ClientSecret, RedirectURL: "http://127.0.0.1/api/auth/oidc/callback",
		Scopes: []string{"openid", "email", "profile", "groups"}, RoleClaim: "groups", Roles: map[string][]string{"admins": {"admin"}, "ops": {"operator"}, "gone": {"no such role"}},
	}
	for _, c := range change {
		c(&o)
	}
	return provided{signedIn(t, func(options *Options) { options.OIDC = oidc.New(o) }), m}
}

func person(email string, groups ...string) *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: "subject of " + email, Email: email, EmailVerified: true, Groups: groups}
}

// browse is a browser that follows nothing by itself.
func browse(t *testing.T, address, cookie string) (*http.Response, reply) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	require.NoError(t, err)
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	text := new(strings.Builder)
	_, err = io.Copy(text, answer.Body)
	require.NoError(t, err)
	return answer, reply{t, answer.StatusCode, answer.Header, text.String()}
}

// begin sends a browser to the provider, where somebody signs in; it gives the way back and the browser's cookie.
func (p provided) begin(query string, who mockoidc.User) (back, cookie string) {
	p.t.Helper()
	begun, answer := browse(p.t, p.http.URL+"/api/auth/oidc/login"+query, "")
	require.Equal(p.t, http.StatusFound, answer.status, answer.text)
	require.Len(p.t, begun.Cookies(), 1)
	c := begun.Cookies()[0]
	require.True(p.t, c.HttpOnly)
	require.Equal(p.t, http.SameSiteLaxMode, c.SameSite)
	p.provider.QueueUser(who)
	asked := begun.Header.Get("Location")
	require.Contains(p.t, asked, "code_challenge_method=S256")
	require.Contains(p.t, asked, "nonce=")
	_, at := browse(p.t, asked, "")
	require.Equal(p.t, http.StatusFound, at.status, at.text)
	return at.header.Get("Location"), c.Name + "=" + c.Value
}

// signIn lets somebody sign in through the provider.
func (p provided) signIn(who mockoidc.User) reply {
	p.t.Helper()
	back, cookie := p.begin("", who)
	return p.comeBack(back, cookie)
}

func (p provided) comeBack(address, cookie string) reply {
	p.t.Helper()
	u, err := url.Parse(address)
	require.NoError(p.t, err)
	_, answer := browse(p.t, p.http.URL+u.RequestURI(), cookie)
	return answer
}

func TestSomebodyWithAMappedRoleGetsAnAccountAndASession(t *testing.T) {
	p := withProvider(t)
	session := p.signIn(person("jane@example.com", "ops", "others")).ok(200)
	require.Equal(t, "no-store", session.header.Get("Cache-Control"))
	jane := *p.fixture
	jane.token = session.get("token").(string)
	me := jane.call("GET", "/api/auth/me", nil).ok(200)
	require.Equal(t, "jane@example.com", me.get("email"))
	require.Contains(t, me.text, string(auth.BackupJobsRun))
	require.NotContains(t, me.text, string(auth.AccessManage))
	require.Len(t, p.audits("user.create"), 1)
	require.NotEmpty(t, p.audits("auth.login"))

	again := p.signIn(person("jane@example.com", "admins")).ok(200)
	require.Equal(t, session.get("user", "id"), again.get("user", "id"))
	require.Contains(t, again.text, string(auth.AccessManage), "roles follow the groups at each sign-in")
	require.NotContains(t, p.signIn(person("jane@example.com", "ops")).ok(200).text, string(auth.AccessManage))
	require.Len(t, p.audits("user.create"), 1)
	require.Equal(t, true, p.call("GET", "/api/auth/status", nil).get("oidc"))
}

func TestWhoeverHasNoMappedRoleIsToldAndGetsNothing(t *testing.T) {
	p := withProvider(t)
	for name, groups := range map[string][]string{"no group": nil, "a group without a role": {"others"}} {
		t.Run(name, func(t *testing.T) {
			refused := p.signIn(person("nobody@example.com", groups...)).problem(http.StatusForbidden)
			require.Contains(t, refused.Detail, "none of your groups has a role here")
		})
	}
	require.Empty(t, p.audits("user.create"), "strangers leave no account behind")
	require.Len(t, p.audits("auth.oidc_refused"), 2)

	session := p.signIn(person("jane@example.com", "ops")).ok(200)
	jane := *p.fixture
	jane.token = session.get("token").(string)
	p.signIn(person("jane@example.com")).problem(http.StatusForbidden)
	jane.call("GET", "/api/auth/me", nil).problem(http.StatusUnauthorized)
	require.Len(t, p.audits("user.roles_followed"), 2, "the role came, and it went")
	p.signIn(person("jim@example.com", "gone")).problem(http.StatusForbidden)
}

func TestAnAccountIsNotTakenOverByItsEmail(t *testing.T) {
	refused := func(p provided, who mockoidc.User, why string) {
		p.t.Helper()
		require.Contains(p.t, p.signIn(who).problem(http.StatusForbidden).Detail, why)
	}
	p := withProvider(t)
	refused(p, person(ownerEmail, "admins"), "owner")
	refused(p, person(strings.ToUpper(ownerEmail), "admins"), "owner")
	local := p.as(auth.DatasourcesRead).call("GET", "/api/auth/me", nil).get("email").(string)
	refused(p, person(local, "admins"), "DATAGUARDIAN_OIDC_LINK_BY_EMAIL")
	unverified := person("new@example.com", "admins")
	unverified.EmailVerified = false
	refused(p, unverified, "verified")

	linking := withProvider(t, func(o *oidc.Options) { o.LinkByEmail = true })
	refused(linking, person(ownerEmail, "admins"), "owner")
	local = "ana@example.com"
	linking.user(local, "operator")
	before := linking.fixture.signIn(local, ownerPassword)
	unverified = person(local, "admins")
	unverified.EmailVerified = false
	refused(linking, unverified, "verified")
	require.Equal(t, local, linking.signIn(person(local, "ops")).ok(200).get("user", "email"))
	require.Len(t, linking.audits("user.link"), 1)
	// Whoever made the account, with a password that they know, may not be the owner of the email.
	require.Equal(t, http.StatusUnauthorized, before.call("GET", "/api/auth/me", nil).status)
	account, err := linking.db.UserByEmail(t.Context(), local)
	require.NoError(t, err)
	require.Empty(t, account.PasswordHash)
	another := person(local, "admins")
	another.Subject = "somebody else"
	refused(linking, another, "somebody else")
}

func TestASignInBelongsToTheBrowserThatBeganIt(t *testing.T) {
	p := withProvider(t)
	back, cookie := p.begin("", person("jane@example.com", "ops"))
	p.comeBack(back, "").problem(http.StatusBadRequest)
	_, other := p.begin("", person("jane@example.com", "ops"))
	p.comeBack(back, other).problem(http.StatusBadRequest)
	p.comeBack(back, cookie[:len(cookie)-4]+"AAAA").problem(http.StatusBadRequest)
	p.comeBack(back+"x", cookie).problem(http.StatusBadRequest)
	p.comeBack(back+"&unknown=parameter", cookie).ok(200)
	p.comeBack(back, cookie).problem(http.StatusForbidden) // the provider gives nothing for a used code
}

func TestACommandLineFetchesItsSessionOnce(t *testing.T) {
	p := withProvider(t)
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	query := "?" + url.Values{"redirect_uri": {"http://127.0.0.1:9/callback"}, "state": {"s&t"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}.Encode()
	fetch := func(code, verifier string) reply {
		return p.call("POST", "/api/auth/oidc/token", object{"code": code, "code_verifier": verifier})
	}
	handoff := func(who mockoidc.User) url.Values {
		back, cookie := p.begin(query, who)
		answer := p.comeBack(back, cookie)
		require.Equal(t, http.StatusFound, answer.status, answer.text)
		to, err := url.Parse(answer.header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:9", to.Host)
		require.Equal(t, "s&t", to.Query().Get("state"))
		return to.Query()
	}
	code := handoff(person("jane@example.com", "ops")).Get("code")
	require.NotEmpty(t, fetch(code, verifier).ok(200).get("token"))
	fetch(code, verifier).problem(http.StatusUnauthorized)
	code = handoff(person("jane@example.com", "ops")).Get("code")
	fetch(code, strings.Repeat("w", 43)).problem(http.StatusUnauthorized)
	fetch(code, verifier).problem(http.StatusUnauthorized) // a wrong guess uses it up
	fetch("dgs_nonsense", verifier).problem(http.StatusUnauthorized)
	require.Contains(t, handoff(person("nobody@example.com")).Get("error"), "none of your groups")

	for name, redirect := range map[string]string{
		"another machine": "http://evil.example.com:80/callback", "a name": "http://localhost:80/callback", "another path": "http://127.0.0.1:80/x",
		"another scheme": "https://127.0.0.1:80/callback", "a user": "http://a@127.0.0.1:80/callback", "no port": "http://127.0.0.1/callback",
	} {
		t.Run(name, func(t *testing.T) {
			_, answer := browse(t, p.http.URL+"/api/auth/oidc/login?code_challenge="+strings.Repeat("a", 43)+"&redirect_uri="+url.QueryEscape(redirect), "")
			answer.wrong("query.redirect_uri")
		})
	}
}

func TestWithoutAProviderThereIsNone(t *testing.T) {
	f := signedIn(t)
	f.call("GET", "/api/auth/oidc/login", nil).problem(http.StatusNotFound)
	f.call("GET", "/api/auth/oidc/callback", nil).problem(http.StatusNotFound)
	require.Equal(t, false, f.call("GET", "/api/auth/status", nil).get("oidc"))
}

func TestAProviderThatIsDownIsSaidToBe(t *testing.T) {
	p := withProvider(t, func(o *oidc.Options) { o.Issuer = "http://127.0.0.1:1/oidc" })
	p.call("GET", "/api/auth/oidc/login", nil).problem(http.StatusServiceUnavailable)
}

// lines gives the text that a command writes, line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		l <- strings.TrimSpace(line)
	}
	return len(p), nil
}

func TestTheClientSignsInWithABrowser(t *testing.T) {
	for name, tc := range map[string]struct {
		groups []string
		want   string
	}{
		"somebody with a role":    {[]string{"ops"}, ""},
		"somebody without a role": {nil, "none of your groups has a role here"},
	} {
		t.Run(name, func(t *testing.T) {
			p := withProvider(t)
			file := filepath.Join(t.TempDir(), "credentials.json")
			root := &cobra.Command{Use: "dataguardian", SilenceUsage: true, SilenceErrors: true}
			root.AddGroup(&cobra.Group{ID: cli.GroupID})
			root.AddCommand(cli.Commands(cli.Options{
				AddFlags: func(*pflag.FlagSet) {},
				Settings: func(*pflag.FlagSet) (cli.Settings, error) {
					return cli.Settings{URL: p.http.URL, CredentialsFile: file}, nil
				},
			})...)
			said := make(lines, 100)
			root.SetErr(said)
			root.SetArgs([]string{"login", "--oidc"})
			done := make(chan error, 1)
			go func() { done <- root.ExecuteContext(t.Context()) }()
			var address string
			for !strings.HasPrefix(address, p.http.URL) {
				address = <-said
			}
			back, cookie := p.begin(strings.TrimPrefix(address, p.http.URL+"/api/auth/oidc/login"), person("jane@example.com", tc.groups...))
			sent := p.comeBack(back, cookie)
			require.Equal(t, http.StatusFound, sent.status, sent.text)
			_, page := browse(t, sent.header.Get("Location"), "")
			require.Equal(t, http.StatusOK, page.status)
			err := <-done
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				require.NoFileExists(t, file)
				return
			}
			require.NoError(t, err)
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(kept), auth.TokenPrefix)
			require.Contains(t, string(kept), "jane@example.com")
		})
	}
}

func TestAnAccountHasAPasswordOrAProviderAndNeverBoth(t *testing.T) {
	p := withProvider(t, func(o *oidc.Options) { o.LinkByEmail = true })
	const email = "jane@example.com"
	session := p.signIn(person(email, "ops")).ok(200)
	id := session.get("user", "id").(string)

	refused := p.call("PATCH", usersPath+"/"+id, object{"password": ownerPassword}).problem(http.StatusConflict)
	require.Contains(t, refused.Detail, "OpenID Connect")
	p.call("POST", "/api/auth/login", object{"email": email, "password": ownerPassword}).problem(http.StatusUnauthorized)
	jane := *p.fixture
	jane.token = session.get("token").(string)
	jane.call("POST", "/api/auth/password", object{"current_password": "", "new_password": ownerPassword}).wrong("current_password")
	p.call("PATCH", usersPath+"/"+id, object{"name": "Jane"}).ok(200)

	// Who has the machine may take it from the provider: the sign-ins of both are gone, and so is the link.
	verifier, passwords := strings.Repeat("v", 43), p.server.passwords
	hash, err := passwords.Hash(t.Context(), ownerPassword)
	require.NoError(t, err)
	code, codeHash, err := auth.NewToken()
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(verifier))
	require.NoError(t, p.db.AddHandoff(t.Context(), codeHash, id, base64.RawURLEncoding.EncodeToString(sum[:]), time.Now().Add(time.Minute)))
	done, err := db.ResetPassword(t.Context(), p.url, db.PasswordReset{Email: email, PasswordHash: hash, Actor: "command line"})
	require.NoError(t, err)
	require.True(t, done.Unlinked)
	p.call("POST", "/api/auth/oidc/token", object{"code": code, "code_verifier": verifier}).problem(http.StatusUnauthorized)
	jane.call("GET", "/api/auth/me", nil).problem(http.StatusUnauthorized)
	p.fixture.signIn(email, ownerPassword)
	p.call("PATCH", usersPath+"/"+id, object{"password": "a quite new password"}).ok(200)

	// And the provider takes it back only as any other: where the operator lets it, and then without the password.
	p.signIn(person(email, "ops")).ok(200)
	p.call("POST", "/api/auth/login", object{"email": email, "password": "a quite new password"}).problem(http.StatusUnauthorized)
}

func TestASignInGoesToTheConfiguredAddressOnly(t *testing.T) {
	p := withProvider(t)
	request, err := http.NewRequest(http.MethodGet, p.http.URL+"/api/auth/oidc/login", nil)
	require.NoError(t, err)
	request.Host = "evil.example.com"
	request.Header.Set("X-Forwarded-Host", "evil.example.com")
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	asked, err := url.Parse(answer.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1/api/auth/oidc/callback", asked.Query().Get("redirect_uri"))
	require.Equal(t, "code", asked.Query().Get("response_type"))
	require.Equal(t, "S256", asked.Query().Get("code_challenge_method"))
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		require.GreaterOrEqual(t, len(asked.Query().Get(name)), 26, name)
	}
}

// A sign-in that the audit trail does not take leaves nothing: no account, no role, no session.
func TestASignInThroughTheProviderThatIsNotAuditedDoesNotHappen(t *testing.T) {
	p := withProvider(t)
	p.signIn(person("known@example.com", "ops")).ok(http.StatusOK)
	p.guard("Go-http-client/1.1") // as which browse introduces itself
	conn := p.connect()
	before := contents(t, conn)
	for _, who := range []*mockoidc.MockUser{person("new@example.com", "ops"), person("known@example.com", "ops"), person("known@example.com", "admins"), person("nobody@example.com")} {
		require.Contains(t, p.signIn(who).problem(http.StatusInternalServerError).Detail, "audit trail", who.Email)
		require.Equal(t, before, contents(t, conn), who.Email)
	}
}
