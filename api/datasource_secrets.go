package api

import (
	"github.com/dataguardian/dataguardian/internal/domain"
)

// maskedConnection is the connection as clients see it.
func maskedConnection(c domain.ConnectionConfig) domain.ConnectionConfig {
	c = c.Clone()
	mask(c.Secrets())
	return c
}

// unmaskConnection puts the stored secrets back where the client sent the mask. Both connections are in
// their normal form.
func unmaskConnection(c *domain.ConnectionConfig, stored domain.ConnectionConfig) domain.Invalid {
	return unmask(c.Secrets(), stored.Secrets(), exposingConnection(*c, stored))
}

// exposingConnection names the changes with which a stored secret would reach another server or user,
// or travel with less protection.
func exposingConnection(c, stored domain.ConnectionConfig) []string {
	changes := []change{
		{"host", c.Host != stored.Host},
		{"port", c.Port != stored.Port},
		{"username", c.Username != stored.Username},
		{"ssl_mode", c.SSLMode.WeakerThan(stored.SSLMode)},
		{"ca_certificate", c.CACertificate != stored.CACertificate && stored.CACertificate != ""},
	}
	var is, was domain.SSHTunnel
	if c.SSHTunnel != nil {
		is = *c.SSHTunnel
	}
	if stored.SSHTunnel != nil {
		was = *stored.SSHTunnel
	}
	return names(append(changes,
		change{"ssh_tunnel.host", is.Host != was.Host},
		change{"ssh_tunnel.port", is.Port != was.Port},
		change{"ssh_tunnel.username", is.Username != was.Username},
		change{"ssh_tunnel.host_key", is.HostKey != was.HostKey},
	))
}
