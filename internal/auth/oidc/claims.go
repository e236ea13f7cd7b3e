package oidc

import (
	"slices"
	"strings"
)

// identity reads the claims.
func (p *Provider) identity(issuer, subject string, claims map[string]any) Identity {
	return Identity{
		Issuer: issuer, Subject: subject, Email: strings.TrimSpace(textOf(claims["email"])), Name: strings.TrimSpace(textOf(claims["name"])),
		EmailVerified: isTrue(claims["email_verified"]), Roles: p.roles(claims),
	}
}

// roles maps the values of the role claim. A value without a mapping gives nothing.
func (p *Provider) roles(claims map[string]any) []string {
	var roles []string
	for _, value := range texts(claimAt(claims, p.options.RoleClaim)) {
		roles = append(roles, p.options.Roles[value]...)
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// claimAt reads a claim by its name, or by a dotted path. A claim whose own name has dots, such as an address, wins.
func claimAt(claims map[string]any, path string) any {
	if value, found := claims[path]; found {
		return value
	}
	var value any = claims
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// texts are the values of a claim that is a text or a list of texts.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if text, ok := item.(string); ok {
				out = append(out, text)
			}
		}
		return out
	default:
		return nil
	}
}

func textOf(claim any) string {
	text, _ := claim.(string)
	return text
}

// isTrue reads a claim that some providers write as a text.
func isTrue(claim any) bool { return claim == true || claim == "true" }
