package domain

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"slices"
	"strings"
)

// SSLMode is how the connection to a database server is protected, in libpq's words.
type SSLMode string

// The SSL modes. Prefer is not offered: it hides a downgrade.
const (
	SSLDisable    SSLMode = "disable"
	SSLRequire    SSLMode = "require"
	SSLVerifyCA   SSLMode = "verify-ca"
	SSLVerifyFull SSLMode = "verify-full"
)

// WeakerThan reports whether m protects a connection less than other. Unset protects nothing.
func (m SSLMode) WeakerThan(other SSLMode) bool {
	strength := []SSLMode{SSLDisable, SSLRequire, SSLVerifyCA, SSLVerifyFull}
	return max(0, slices.Index(strength, m)) < max(0, slices.Index(strength, other))
}

// ConnectionConfig is the JSON document of datasources.connection_config for database servers.
// Password is a secret: sealed in the database, write-only through the API.
type ConnectionConfig struct {
	Host          string  `json:"host" doc:"Host name or address, or the directory of a Unix socket" maxLength:"255"`
	Port          int     `json:"port,omitempty" doc:"TCP port; the default is the server type's own" minimum:"0" maximum:"65535"`
	Database      string  `json:"database" doc:"Name of the database to back up" maxLength:"63"`
	Username      string  `json:"username" doc:"User that connects" maxLength:"255"`
	Password      string  `json:"password,omitempty" doc:"Write-only; answers show ********, and writing that back keeps the stored one" maxLength:"1024"`
	SSLMode       SSLMode `json:"ssl_mode,omitempty" doc:"How the connection is protected; default require, but disable for a loopback address or a Unix socket" enum:"disable,require,verify-ca,verify-full"`
	CACertificate string  `json:"ca_certificate,omitempty" doc:"PEM certificates trusted for verify-ca and verify-full" maxLength:"65536"`
}

// SupportedDatasource reports whether this version has an engine for t.
func SupportedDatasource(t DatasourceType) bool { return t == Postgres }

// Normalize fills in defaults and trims what people paste with spaces around it.
func (c *ConnectionConfig) Normalize(t DatasourceType) {
	c.Host = strings.TrimSpace(c.Host)
	c.Database = strings.TrimSpace(c.Database)
	c.Username = strings.TrimSpace(c.Username)
	if c.Port == 0 && t == Postgres {
		c.Port = 5432
	}
	if c.SSLMode == "" {
		c.SSLMode = SSLRequire
		if staysOnMachine(c.Host) {
			c.SSLMode = SSLDisable
		}
	}
}

// staysOnMachine reports whether a connection to host crosses no network: a loopback address or the
// directory of a Unix socket.
func staysOnMachine(host string) bool {
	if strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// Validate finds every wrong field; field paths start at the document itself.
func (c ConnectionConfig) Validate() Invalid {
	var v Invalid
	for _, field := range []struct{ name, value string }{
		{"host", c.Host}, {"database", c.Database}, {"username", c.Username}, {"password", c.Password},
	} {
		if strings.ContainsAny(field.value, "\x00\n\r") {
			v.Add(field.name, "must not contain a NUL or a line break")
		}
		if field.value == "" && field.name != "password" {
			v.Add(field.name, "is required")
		}
	}
	if c.Port < 1 || c.Port > 65535 {
		v.Add("port", "is %d; give a port from 1 to 65535", c.Port)
	}
	if !oneOf(c.SSLMode, SSLDisable, SSLRequire, SSLVerifyCA, SSLVerifyFull) {
		v.Add("ssl_mode", "is %q; use disable, require, verify-ca or verify-full", c.SSLMode)
	}
	if c.CACertificate != "" && !parsesAsCertificate(c.CACertificate) {
		v.Add("ca_certificate", "is not a PEM certificate; paste the file that begins with -----BEGIN CERTIFICATE-----")
	}
	if oneOf(c.SSLMode, SSLVerifyCA, SSLVerifyFull) && c.CACertificate == "" {
		v.Add("ca_certificate", "is required with ssl_mode %s", c.SSLMode)
	}
	return v
}

func parsesAsCertificate(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	_, err := x509.ParseCertificate(block.Bytes)
	return err == nil
}
