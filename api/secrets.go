package api

import (
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// masked is the connection as clients see it.
func masked(c domain.ConnectionConfig) domain.ConnectionConfig {
	if c.Password != "" {
		c.Password = failure.Mask
	}
	return c
}

// unmask puts the stored secrets back where the client sent the mask. Refused are a mask with nothing
// stored behind it, which would become the password, and one for a changed connection: whoever may
// change the host but does not know the password could have it sent to a server of their own. Both
// connections are in their normal form.
func unmask(c *domain.ConnectionConfig, stored domain.ConnectionConfig) domain.Invalid {
	var v domain.Invalid
	if c.Password != failure.Mask {
		return v
	}
	if stored.Password == "" {
		v.Add("password", "is %s, which stands for a stored password, and none is stored; give the password itself", failure.Mask)
		return v
	}
	if changes := exposing(*c, stored); len(changes) > 0 {
		v.Add("password", "give the password again, because %s changed: the stored one is only sent where it was entered for",
			strings.Join(changes, ", "))
		return v
	}
	c.Password = stored.Password
	return v
}

// exposing names the changes with which the stored password would reach another server or user, or
// travel with less protection.
func exposing(c, stored domain.ConnectionConfig) []string {
	var changes []string
	if c.Host != stored.Host {
		changes = append(changes, "host")
	}
	if c.Port != stored.Port {
		changes = append(changes, "port")
	}
	if c.Username != stored.Username {
		changes = append(changes, "username")
	}
	if c.SSLMode.WeakerThan(stored.SSLMode) {
		changes = append(changes, "ssl_mode")
	}
	return changes
}
