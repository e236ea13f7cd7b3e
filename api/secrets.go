package api

import (
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

// unmask puts the stored secrets back where the client sent the mask. A mask with nothing stored
// behind it is refused: it would become the password.
func unmask(c *domain.ConnectionConfig, stored domain.ConnectionConfig) domain.Invalid {
	var v domain.Invalid
	if c.Password == failure.Mask {
		if stored.Password == "" {
			v.Add("password", "is %s, which stands for a stored password, and none is stored; give the password itself", failure.Mask)
			return v
		}
		c.Password = stored.Password
	}
	return v
}
