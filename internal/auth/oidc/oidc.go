// Package oidc asks an OpenID Connect provider who somebody is: authorization code with PKCE, state and nonce. What their
// answer means for accounts is not its business.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// callTimeout bounds one call of the provider.
const callTimeout = 15 * time.Second

// Options say which provider is asked, and how its answer is read.
type Options struct {
	Issuer, ClientID, ClientSecret string
	RedirectURL                    string   // of the API: …/api/auth/oidc/callback
	Scopes                         []string // openid is always asked for
	// RoleClaim is the claim that the roles come from, dotted for one inside another; Roles gives the roles of its values.
	RoleClaim string
	Roles     map[string][]string
	// Audiences are accepted besides ClientID.
	Audiences []string
	// LinkByEmail lets an account that exists be taken over by whoever the provider says has its verified email.
	LinkByEmail bool
	HTTPClient  *http.Client // nil: one with a time limit
}

// Provider is an OpenID Connect provider. Safe for concurrent use.
type Provider struct {
	options Options
	client  *http.Client
	mu      sync.Mutex
	found   *coreos.Provider // nil until it was asked for the first time
}

// New makes a provider. Nothing is asked yet: the API starts without it.
func New(o Options) *Provider {
	p := &Provider{options: o, client: o.HTTPClient}
	if p.client == nil {
		p.client = &http.Client{Timeout: callTimeout}
	}
	return p
}

// LinkByEmail reports whether accounts that exist are linked by their email.
func (p *Provider) LinkByEmail() bool { return p.options.LinkByEmail }

// Issuer names the provider.
func (p *Provider) Issuer() string { return p.options.Issuer }

// RedirectURL is where the provider sends people back to.
func (p *Provider) RedirectURL() string { return p.options.RedirectURL }

// Attempt is a sign-in that has begun. It is secret: whoever begins it keeps it in the browser that it belongs to.
type Attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of PKCE
}

// Identity is who the provider says somebody is.
type Identity struct {
	Issuer, Subject string
	Email, Name     string
	EmailVerified   bool
	Roles           []string // mapped, sorted, each once
}

// Begin makes an attempt, and the address to send its browser to. Errors are of class Unreachable.
func (p *Provider) Begin(ctx context.Context) (Attempt, string, error) {
	provider, err := p.discover(ctx)
	if err != nil {
		return Attempt{}, "", err
	}
	a := Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	address := p.config(provider).AuthCodeURL(a.State, coreos.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
	return a, address, nil
}

// Matches reports whether a state that came back is the attempt's.
func (a Attempt) Matches(state string) bool {
	return a.State != "" && subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) == 1
}

// Complete turns the code of an attempt into an identity. Errors are of class Unreachable when the provider does not
// answer, and of class AuthFailed when it does not say who it is in a way that can be believed.
func (p *Provider) Complete(ctx context.Context, a Attempt, code string) (Identity, error) {
	const op = "sign in through the OpenID Connect provider"
	provider, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(coreos.ClientContext(ctx, p.client), callTimeout)
	defer cancel()
	token, err := p.config(provider).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Identity{}, exchangeFailed(op, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, refused(op, "the provider gave no ID token")
	}
	verified, err := p.verify(ctx, provider, raw, a, token.AccessToken)
	if err != nil {
		return Identity{}, err
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return Identity{}, refused(op, "the claims of the ID token can not be read")
	}
	if err := p.complete(ctx, provider, token, verified.Subject, claims); err != nil {
		return Identity{}, err
	}
	return p.identity(verified.Issuer, verified.Subject, claims), nil
}

// verify checks signature, issuer, time, audience and nonce of an ID token.
func (p *Provider) verify(ctx context.Context, provider *coreos.Provider, raw string, a Attempt, accessToken string) (*coreos.IDToken, error) {
	const op = "check the ID token"
	token, err := provider.Verifier(&coreos.Config{ClientID: p.options.ClientID, SkipClientIDCheck: true}).Verify(ctx, raw)
	if err != nil {
		var expired *coreos.TokenExpiredError
		if errors.As(err, &expired) {
			return nil, refused(op, "it has expired; check the clocks of both machines")
		}
		return nil, refused(op, "it is not the provider's, or not for us")
	}
	accepted := append([]string{p.options.ClientID}, p.options.Audiences...)
	if !slices.ContainsFunc(token.Audience, func(one string) bool { return slices.Contains(accepted, one) }) {
		return nil, refused(op, "it is for another client")
	}
	var party struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := token.Claims(&party); err != nil || (party.AuthorizedParty != "" && !slices.Contains(accepted, party.AuthorizedParty)) {
		return nil, refused(op, "it was made for another client")
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1 {
		return nil, refused(op, "it belongs to another sign-in")
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(accessToken); err != nil {
			return nil, refused(op, "it belongs to another access token")
		}
	}
	return token, nil
}

// complete adds the claims that the provider tells only when it is asked for them.
func (p *Provider) complete(ctx context.Context, provider *coreos.Provider, token *oauth2.Token, subject string, claims map[string]any) error {
	if claims["email"] != nil && claims["email_verified"] != nil && claimAt(claims, p.options.RoleClaim) != nil {
		return nil
	}
	if provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil //nolint:nilerr // what the ID token says has to do
	}
	if info.Subject != "" && info.Subject != subject {
		return refused("ask the provider about the user", "it answers about somebody else")
	}
	if info.Subject == "" {
		return nil // an answer that names nobody is about nobody
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return nil //nolint:nilerr // what the ID token says has to do
	}
	// That an email is verified is about the email beside it, and about no other.
	switch told := textOf(claims["email"]); {
	case told == "":
		delete(claims, "email")
		delete(claims, "email_verified")
	case !strings.EqualFold(told, textOf(more["email"])):
		delete(more, "email_verified")
	}
	for name, value := range more {
		if claims[name] == nil {
			claims[name] = value
		}
	}
	return nil
}

// discover asks the provider where its endpoints are, once.
func (p *Provider) discover(ctx context.Context) (*coreos.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	ctx, cancel := context.WithTimeout(coreos.ClientContext(context.WithoutCancel(ctx), p.client), callTimeout)
	defer cancel()
	found, err := coreos.NewProvider(ctx, p.options.Issuer)
	if err != nil {
		return nil, failure.New(failure.Unreachable, "ask "+p.options.Issuer+" for its endpoints", "it did not answer, or is not the issuer that was configured",
			"Check DATAGUARDIAN_OIDC_ISSUER, and that the API reaches it.")
	}
	p.found = found
	return found, nil
}

func (p *Provider) config(provider *coreos.Provider) *oauth2.Config {
	scopes := p.options.Scopes
	if !slices.Contains(scopes, coreos.ScopeOpenID) {
		scopes = append([]string{coreos.ScopeOpenID}, scopes...)
	}
	return &oauth2.Config{
		ClientID: p.options.ClientID, ClientSecret: p.options.ClientSecret, Endpoint: provider.Endpoint(),
		RedirectURL: p.options.RedirectURL, Scopes: scopes,
	}
}

// exchangeFailed tells a provider that refuses from one that does not answer. Its own words stay out: they may repeat what
// was sent.
func exchangeFailed(op string, err error) error {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) && answered.Response != nil && answered.Response.StatusCode < http.StatusInternalServerError {
		return refused(op, fmt.Sprintf("the provider refused the code (%d); sign in again", answered.Response.StatusCode))
	}
	return failure.New(failure.Unreachable, op, "the provider did not answer", "Try again; check that the API reaches it.")
}

func refused(op, message string) error { return failure.New(failure.AuthFailed, op, message, "") }
