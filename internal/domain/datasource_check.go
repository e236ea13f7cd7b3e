package domain

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

var serverFields = []string{"host", "port", "database", "databases", "username", "password", "ssl_mode", "ca_certificate", "ssh_tunnel"}

// connectionFields are the fields of each datasource type, by their JSON names.
var connectionFields = map[DatasourceType][]string{
	Postgres:  serverFields,
	MySQL:     serverFields,
	MariaDB:   serverFields,
	MongoDB:   append(slices.Clone(serverFields), "uri", "auth_source", "replica_set"),
	SQLServer: append(slices.Clone(serverFields), "backup_directory", "worker_directory"),
	SQLite:    {"file_path"},
	Files:     {"source_path", "include_patterns", "exclude_patterns", "follow_symlinks", "one_file_system"},
}

// Validate finds every wrong field of a datasource of type t, after Normalize; field paths start at the
// document itself.
func (c ConnectionConfig) Validate(t DatasourceType) Invalid {
	var v Invalid
	if _, known := connectionFields[t]; !known {
		v.Add("type", "is %q; use postgres, mysql, mariadb, mongodb, sqlserver, sqlite or files", t)
		return v
	}
	c.checkForeign(&v, t)
	c.checkText(&v)
	switch {
	case t == SQLite:
		checkPath(&v, "file_path", c.FilePath, "the database file on the worker")
	case t == Files:
		checkPath(&v, "source_path", c.SourcePath, "the directory on the worker that is backed up")
		checkPatterns(&v, "include_patterns", c.IncludePatterns)
		checkPatterns(&v, "exclude_patterns", c.ExcludePatterns)
	case t == MongoDB && c.URI != "":
		c.checkURI(&v)
	default:
		c.checkServer(&v, t)
	}
	if t == SQLServer {
		required(&v, "backup_directory", c.BackupDirectory)
		checkPath(&v, "worker_directory", c.WorkerDirectory, "the server's backup_directory as the worker sees it")
	}
	return v
}

// checkForeign refuses what is a setting of another type: kept, it would look as if it had an effect.
func (c ConnectionConfig) checkForeign(v *Invalid, t DatasourceType) {
	for name, field := range jsonFields(c) {
		if !field.IsZero() && !slices.Contains(connectionFields[t], name) {
			v.Add(name, "is not a setting of datasource type %s; leave it out", t)
		}
	}
}

func (c ConnectionConfig) checkText(v *Invalid) {
	for name, field := range jsonFields(c) {
		if field.Kind() == reflect.String && name != "ca_certificate" && strings.ContainsAny(field.String(), "\x00\n\r") {
			v.Add(name, "must not contain a NUL or a line break")
		}
	}
}

func (c ConnectionConfig) checkServer(v *Invalid, t DatasourceType) {
	required(v, "host", c.Host)
	if t != MongoDB {
		required(v, "username", c.Username)
	}
	if c.Username == "" && c.Password != "" {
		v.Add("username", "is required with a password")
	}
	c.checkSelection(v)
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
	if c.SSHTunnel != nil {
		if strings.HasPrefix(c.Host, "/") {
			v.Add("ssh_tunnel", "can not reach a Unix socket; give the server's host name as the bastion host sees it")
		}
		*v = append(*v, c.SSHTunnel.validate().Under("ssh_tunnel")...)
	}
}

// checkURI checks a connection that is given as a URI, which says everything about the server itself.
func (c ConnectionConfig) checkURI(v *Invalid) {
	if u, err := url.Parse(c.URI); err != nil || (u.Scheme != "mongodb" && u.Scheme != "mongodb+srv") || u.Host == "" {
		// The text may hold a password: it is not repeated.
		v.Add("uri", "is not a mongodb:// or mongodb+srv:// URI with a host")
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"host", c.Host != ""}, {"port", c.Port != 0}, {"username", c.Username != ""}, {"password", c.Password != ""},
		{"ssh_tunnel", c.SSHTunnel != nil},
	} {
		if field.set {
			v.Add(field.name, "is given beside uri; give either the uri or the fields")
		}
	}
	if c.CACertificate != "" && !parsesAsCertificate(c.CACertificate) {
		v.Add("ca_certificate", "is not a PEM certificate; paste the file that begins with -----BEGIN CERTIFICATE-----")
	}
	c.checkSelection(v)
}

// checkSelection wants one of database and databases.
func (c ConnectionConfig) checkSelection(v *Invalid) {
	switch {
	case c.Databases == nil:
		required(v, "database", c.Database)
	case c.Database != "":
		v.Add("databases", "is given beside database; give either one database, or databases with all")
	default:
		*v = append(*v, c.Databases.validate().Under("databases")...)
	}
}

func checkPath(v *Invalid, field, value, what string) {
	switch {
	case value == "":
		v.Add(field, "is required: %s", what)
	case !filepath.IsAbs(value):
		v.Add(field, "is %q; give an absolute path", value)
	}
}

func checkPatterns(v *Invalid, field string, patterns []string) {
	for _, p := range patterns {
		if strings.TrimSpace(p) == "" || strings.ContainsAny(p, "\x00\n\r") {
			v.Add(field, "has an empty pattern or one with a line break")
			return
		}
	}
}

func parsesAsCertificate(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	_, err := x509.ParseCertificate(block.Bytes)
	return err == nil
}
