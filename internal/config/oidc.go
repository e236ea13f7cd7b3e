package config

import (
	"net"
	"net/url"
	"strings"
)

// OIDC is the OpenID Connect provider through which people may sign in; none when Issuer is empty.
type OIDC struct {
	Issuer           string `env:"DATAGUARDIAN_OIDC_ISSUER"`
	ClientID         string `env:"DATAGUARDIAN_OIDC_CLIENT_ID"`
	ClientSecret     Secret `env:"DATAGUARDIAN_OIDC_CLIENT_SECRET"`
	ClientSecretFile string `env:"DATAGUARDIAN_OIDC_CLIENT_SECRET_FILE"`
	// RedirectURL is that of the API as browsers reach it, …/api/auth/oidc/callback.
	RedirectURL string   `env:"DATAGUARDIAN_OIDC_REDIRECT_URL"`
	Scopes      []string `env:"DATAGUARDIAN_OIDC_SCOPES" envDefault:"openid,email,profile"`
	// RoleClaim is the claim that roles come from, and RoleMap what its values give: value=role, separated by ';'.
	RoleClaim string   `env:"DATAGUARDIAN_OIDC_ROLE_CLAIM" envDefault:"groups"`
	RoleMap   []string `env:"DATAGUARDIAN_OIDC_ROLES" envSeparator:";"`
	// Audiences of ID tokens that are accepted besides ClientID.
	Audiences []string `env:"DATAGUARDIAN_OIDC_AUDIENCES"`
	// LinkByEmail lets whoever the provider says has an account's verified email sign in to that account.
	LinkByEmail bool `env:"DATAGUARDIAN_OIDC_LINK_BY_EMAIL"`
}

// OIDCCallback is the path of RedirectURL.
const OIDCCallback = "/api/auth/oidc/callback"

// Roles gives the roles of each value of the claim.
func (o OIDC) Roles() map[string][]string {
	roles := map[string][]string{}
	for _, entry := range o.RoleMap {
		if value, role, ok := splitRole(entry); ok {
			roles[value] = append(roles[value], role)
		}
	}
	return roles
}

// splitRole cuts at the last '=': a value may be a name like cn=admins,ou=groups.
func splitRole(entry string) (value, role string, ok bool) {
	i := strings.LastIndex(entry, "=")
	if i <= 0 {
		return "", "", false
	}
	value, role = strings.TrimSpace(entry[:i]), strings.TrimSpace(entry[i+1:])
	return value, role, value != "" && role != ""
}

func (c *Config) validateOIDC(p *complaints) {
	o := c.OIDC
	if o.Issuer == "" {
		if o.ClientID != "" || o.RedirectURL != "" || len(o.RoleMap) > 0 {
			p.add("DATAGUARDIAN_OIDC_ISSUER", "is not set; without it nobody can sign in through a provider")
		}
		return
	}
	if !secureURL(o.Issuer) {
		p.add("DATAGUARDIAN_OIDC_ISSUER", "is %q; give https://… (http only for this machine)", o.Issuer)
	}
	if o.ClientID == "" {
		p.add("DATAGUARDIAN_OIDC_CLIENT_ID", "is not set; the provider gave it with the client")
	}
	if o.ClientSecret != "" && o.ClientSecretFile != "" {
		p.add("DATAGUARDIAN_OIDC_CLIENT_SECRET", "and DATAGUARDIAN_OIDC_CLIENT_SECRET_FILE are both set; keep one")
	}
	if !secureURL(o.RedirectURL) || !strings.HasSuffix(o.RedirectURL, OIDCCallback) {
		p.add("DATAGUARDIAN_OIDC_REDIRECT_URL", "is %q; give the API's address as browsers reach it, https://…%s", o.RedirectURL, OIDCCallback)
	}
	for _, entry := range o.RoleMap {
		if _, _, ok := splitRole(entry); !ok {
			p.add("DATAGUARDIAN_OIDC_ROLES", "has %q; give value=role, separated by ';'", entry)
		}
	}
	if len(o.RoleMap) == 0 {
		p.add("DATAGUARDIAN_OIDC_ROLES", "is not set; without it nobody who signs in has a role")
	}
}

// secureURL reports whether text is an https address, or an http one of this machine.
func secureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || (u.Scheme == "http" && (u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())))
}
