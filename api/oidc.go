package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/auth/oidc"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	oidcPath    = "/api/auth/oidc"
	oidcCookie  = "dataguardian_oidc"
	oidcPurpose = "oidc sign-in"

	attemptLife = 10 * time.Minute // for a person to sign in at the provider
	handoffLife = time.Minute      // for a command line to fetch its session
)

// oidcAttempt is what a browser keeps, sealed, while its person signs in at the provider.
type oidcAttempt struct {
	Attempt oidc.Attempt `json:"attempt"`
	Client  oidcClient   `json:"client"`
}

// oidcClient is the command line that a sign-in is for; the zero value is the browser itself.
type oidcClient struct {
	RedirectURI string `json:"redirect_uri,omitempty"`
	Challenge   string `json:"challenge,omitempty"`
	State       string `json:"state,omitempty"`
}

type oidcLoginInput struct {
	RedirectURI string `query:"redirect_uri" maxLength:"200" doc:"For a command line: http://127.0.0.1:PORT/callback, to which a code is sent"`
	Challenge   string `query:"code_challenge" maxLength:"128" pattern:"^[A-Za-z0-9_-]{43}$" doc:"With redirect_uri: base64url of the SHA-256 of a secret that fetches the session with the code"`
	State       string `query:"state" maxLength:"200" doc:"With redirect_uri: sent back as it is"`
}

type oidcCallbackInput struct {
	Code   string `query:"code" maxLength:"4096"` // see check
	State  string `query:"state" maxLength:"512"`
	Error  string `query:"error" maxLength:"200" doc:"Why the provider did not sign in"`
	Cookie string `cookie:"dataguardian_oidc"`
}

// check bounds the texts: the operation takes parameters that are not its own, and huma then checks none.
func (in *oidcCallbackInput) check() error {
	var v domain.Invalid
	for _, p := range []struct {
		name, text string
		most       int
	}{{"code", in.Code, 4096}, {"state", in.State, 512}, {"error", in.Error, 200}} {
		if len(p.text) > p.most {
			v.Add("query."+p.name, "is longer than %d", p.most)
		}
	}
	return v.OrNil()
}

type oidcTokenBody struct {
	Code     string `json:"code" maxLength:"200" doc:"What the command line was sent"`
	Verifier string `json:"code_verifier" maxLength:"200" doc:"The secret whose hash is the code_challenge"`
}

// browserAnswer sends a browser on, or gives it its session.
type browserAnswer struct {
	Status    int
	Location  string      `header:"Location"`
	SetCookie http.Cookie `header:"Set-Cookie"`
	NoStore   string      `header:"Cache-Control"`
	Body      *Session
}

func (s *server) registerOIDC() {
	tags := []string{"Sign-in"}
	register(s, public("it begins a sign-in"), huma.Operation{
		OperationID: "oidc-login", Method: http.MethodGet, Path: oidcPath + "/login", Tags: tags, Summary: "Sign in through the OpenID Connect provider",
		Description:   "Sends the browser to the provider. 404 when none is configured.",
		DefaultStatus: http.StatusFound, Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.oidcLogin)
	register(s, public("the provider sends people here who have no session yet"), huma.Operation{
		OperationID: "oidc-callback", Method: http.MethodGet, Path: oidcPath + "/callback", Tags: tags, Summary: "Where the provider sends people back to",
		Description: "Answers the session, or sends the browser on to the command line that began it.",
		// Providers send parameters of their own along.
		SkipValidateParams: true,
		Errors:             []int{http.StatusFound, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.oidcCallback)
	register(s, public("it is the last step of a sign-in"), huma.Operation{
		OperationID: "oidc-token", Method: http.MethodPost, Path: oidcPath + "/token", Tags: tags, Summary: "Fetch the session of a sign-in that a command line began",
		Errors: []int{http.StatusUnauthorized},
	}, s.oidcToken)
}

func (s *server) oidcLogin(ctx context.Context, in *oidcLoginInput) (*browserAnswer, error) {
	if s.opts.OIDC == nil {
		return nil, noOIDC()
	}
	client := oidcClient{RedirectURI: in.RedirectURI, Challenge: in.Challenge, State: in.State}
	if err := client.check(); err != nil {
		return nil, err
	}
	attempt, address, err := s.opts.OIDC.Begin(ctx)
	if err != nil {
		return nil, oidcDown(err)
	}
	note, err := s.db.SealNote(ctx, oidcPurpose, oidcAttempt{attempt, client}, time.Now().Add(attemptLife))
	if err != nil {
		return nil, err
	}
	return s.sendOn(address, s.cookie(note, attemptLife)), nil
}

// check lets codes go only to a program on the machine of the browser.
func (c oidcClient) check() error {
	if c == (oidcClient{}) {
		return nil
	}
	u, err := url.Parse(c.RedirectURI)
	if err != nil || u.Scheme != "http" || u.Path != "/callback" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Port() == "" {
		return invalidField("query.redirect_uri", "is not like http://127.0.0.1:PORT/callback")
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return invalidField("query.redirect_uri", "is not like http://127.0.0.1:PORT/callback")
	}
	if c.Challenge == "" {
		return invalidField("query.code_challenge", "is required with redirect_uri")
	}
	return nil
}

func (s *server) oidcCallback(ctx context.Context, in *oidcCallbackInput) (*browserAnswer, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if s.opts.OIDC == nil {
		return nil, noOIDC()
	}
	var begun oidcAttempt
	if err := s.db.OpenNote(oidcPurpose, in.Cookie, &begun); err != nil || !begun.Attempt.Matches(in.State) {
		return nil, strangeSignIn(ctx, "it was not begun in this browser, or too long ago",
			problem.New(http.StatusBadRequest, "This sign-in was not begun in this browser, or too long ago; begin again at "+oidcPath+"/login."))
	}
	answer, err := s.concludeOIDC(ctx, begun, in)
	if err == nil || begun.Client.RedirectURI == "" {
		return answer, err
	}
	// The command line waits for an answer: it is told, as the browser's person would have been.
	p := s.explain(ctx, err)
	return s.sendOn(begun.Client.back("error", p.Detail), s.cookie("", -1)), nil
}

func (s *server) concludeOIDC(ctx context.Context, begun oidcAttempt, in *oidcCallbackInput) (*browserAnswer, error) {
	if in.Error != "" {
		// Anybody can call this with any text, so the text tells no kinds of refusals apart.
		text := "the provider answered " + cut(in.Error, 200)
		return nil, &denial{
			audited(ctx, actionOIDCRefused, "user", "", map[string]any{"reason": "the provider refused it", "answer": text}),
			problem.New(http.StatusForbidden, "You are not signed in: "+text+"."),
		}
	}
	identity, err := s.opts.OIDC.Complete(ctx, begun.Attempt, in.Code)
	switch {
	case failure.ClassOf(err) == failure.AuthFailed:
		return nil, providerRefused(ctx, err.Error())
	case err != nil:
		return nil, oidcDown(err)
	}
	user, err := s.admit(ctx, identity)
	if err != nil {
		return nil, err
	}
	if begun.Client.RedirectURI == "" {
		session, err := s.signIn(ctx, user)
		if err != nil {
			return nil, orProblem(err, strangeSignIn(ctx, "the account was changed meanwhile", unauthorised("The account was changed meanwhile; sign in again.")))
		}
		return &browserAnswer{Status: http.StatusOK, SetCookie: s.cookie("", -1), NoStore: "no-store", Body: &session}, nil
	}
	code, hash, err := auth.NewToken()
	if err != nil {
		return nil, err
	}
	if err := s.db.AddHandoff(ctx, hash, user.ID, begun.Client.Challenge, time.Now().Add(handoffLife)); err != nil {
		return nil, err
	}
	return s.sendOn(begun.Client.back("code", code), s.cookie("", -1)), nil
}

// back is the address of the command line, with an answer.
func (c oidcClient) back(name, value string) string {
	return c.RedirectURI + "?" + url.Values{name: {value}, "state": {c.State}}.Encode()
}

func (s *server) oidcToken(ctx context.Context, in *body[oidcTokenBody]) (*body[Session], error) {
	wrong := strangeSignIn(ctx, "the code is unknown, used or too old", unauthorised("The code is unknown, used or too old; sign in again."))
	hash, ok := auth.HashToken(in.Body.Code)
	if !ok {
		return nil, wrong
	}
	var session *Session
	err := s.db.InTx(ctx, func(q *db.Queries) error { // a code is not lost with a sign-in that could not be written
		owner, err := q.HandoffOwner(ctx, hash)
		if err != nil {
			return err
		}
		user, err := q.LockUser(ctx, owner) // before the code, as whoever ends the sign-ins of the account does
		if err != nil {
			return err
		}
		challenge, err := q.TakeHandoff(ctx, hash)
		if err != nil || !auth.MatchesChallenge(in.Body.Verifier, challenge) || !user.IsActive {
			return err // a code with a wrong secret is used up too
		}
		opened, err := s.signIn(db.Joining(ctx, q), user)
		if errors.Is(err, db.ErrNotFound) {
			return nil
		}
		session = &opened
		return err
	})
	if err == nil && session == nil {
		err = wrong
	}
	if err != nil {
		return nil, orProblem(err, wrong)
	}
	return &body[Session]{*session}, nil
}

func (s *server) sendOn(address string, cookie http.Cookie) *browserAnswer {
	return &browserAnswer{Status: http.StatusFound, Location: address, SetCookie: cookie, NoStore: "no-store"}
}

// cookie binds a sign-in to the browser that began it; a negative life takes it away.
func (s *server) cookie(value string, life time.Duration) http.Cookie {
	return http.Cookie{ //nolint:gosec // Secure wherever the browser comes by https
		Name: oidcCookie, Value: value, Path: oidcPath, MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(s.opts.OIDC.RedirectURL(), "https:"),
	}
}

func noOIDC() error {
	return problem.New(http.StatusNotFound, "No OpenID Connect provider is configured; sign in with POST /api/auth/login.")
}

func oidcDown(err error) error {
	if failure.ClassOf(err) != failure.Unreachable {
		return err
	}
	return problem.New(http.StatusServiceUnavailable, failure.Message(err))
}

// orProblem replaces a bare "not found".
func orProblem(err error, p error) error {
	if errors.Is(err, db.ErrNotFound) {
		return p
	}
	return err
}
