package client

import (
	"context"
	"net/url"
)

// OIDCLoginURL is the address to open in a browser on this machine, to sign in through the provider for a program that
// listens at redirectURI. challenge is the PKCE challenge of the verifier that OIDCToken is given.
func (c *Client) OIDCLoginURL(redirectURI, challenge, state string) string {
	query := url.Values{"redirect_uri": {redirectURI}, "code_challenge": {challenge}, "state": {state}}
	return c.base + "/api/auth/oidc/login?" + query.Encode()
}

// OIDCToken fetches the session of a sign-in through the provider, and uses it from here on.
func (c *Client) OIDCToken(ctx context.Context, code, verifier string) (Session, error) {
	return c.open(ctx, "/api/auth/oidc/token", map[string]string{"code": code, "code_verifier": verifier})
}
