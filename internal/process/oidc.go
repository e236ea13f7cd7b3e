package process

import (
	"os"
	"strings"

	"github.com/dataguardian/dataguardian/internal/auth/oidc"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// OIDC is the provider through which people may sign in, nil when none is configured.
func OIDC(c config.OIDC) (*oidc.Provider, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	secret := c.ClientSecret.Reveal()
	if c.ClientSecretFile != "" {
		text, err := os.ReadFile(c.ClientSecretFile)
		if err != nil {
			return nil, failure.Wrap(failure.ConfigInvalid, "read the OpenID Connect client secret", err, "Check DATAGUARDIAN_OIDC_CLIENT_SECRET_FILE.")
		}
		secret = strings.TrimSpace(string(text))
	}
	return oidc.New(oidc.Options{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: secret, RedirectURL: c.RedirectURL, Scopes: c.Scopes,
		RoleClaim: c.RoleClaim, Roles: c.Roles(), Audiences: c.Audiences, LinkByEmail: c.LinkByEmail,
	}), nil
}
