package domain

import (
	"net/netip"
	"net/url"
	"path/filepath"
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

// ConnectionConfig is the JSON document of datasources.connection_config. Only the fields of the
// datasource's type are set. What Secrets names is sealed in the database and write-only through the API.
type ConnectionConfig struct {
	Host          string             `json:"host,omitempty" doc:"Database servers: host name or address, or (postgres, mysql, mariadb) the absolute path of a Unix socket's directory" maxLength:"255"`
	Port          int                `json:"port,omitempty" doc:"Database servers: TCP port; the default is the server type's own" minimum:"0" maximum:"65535"`
	Database      string             `json:"database,omitempty" doc:"Database servers: name of the database to back up" maxLength:"63"`
	Databases     *DatabaseSelection `json:"databases,omitempty" doc:"Database servers, instead of database: every database of the server"`
	Username      string             `json:"username,omitempty" doc:"Database servers: user that connects" maxLength:"255"`
	Password      string             `json:"password,omitempty" doc:"Database servers: write-only; answers show ********, and writing that back keeps the stored one" maxLength:"1024"`
	SSLMode       SSLMode            `json:"ssl_mode,omitempty" doc:"Database servers: how the connection is protected; default require, but disable for a loopback address or a Unix socket" enum:"disable,require,verify-ca,verify-full"`
	CACertificate string             `json:"ca_certificate,omitempty" doc:"Database servers: PEM certificates trusted for verify-ca and verify-full" maxLength:"65536"`
	SSHTunnel     *SSHTunnel         `json:"ssh_tunnel,omitempty" doc:"Database servers: the bastion host through which the server is reached"`

	URI        string `json:"uri,omitempty" doc:"mongodb: mongodb:// or mongodb+srv:// URI instead of host, port, username and password; write-only" maxLength:"4096"`
	AuthSource string `json:"auth_source,omitempty" doc:"mongodb: database that knows the user; default admin" maxLength:"63"`
	ReplicaSet string `json:"replica_set,omitempty" doc:"mongodb: name of the replica set" maxLength:"255"`

	BackupDirectory string `json:"backup_directory,omitempty" doc:"sqlserver: directory into which the server writes native backups, as the server sees it" maxLength:"4096"`
	WorkerDirectory string `json:"worker_directory,omitempty" doc:"sqlserver: the same directory as the workers of the pool see it" maxLength:"4096"`

	FilePath string `json:"file_path,omitempty" doc:"sqlite: absolute path of the database file on the pool's workers" maxLength:"4096"`

	SourcePath      string   `json:"source_path,omitempty" doc:"files: absolute directory on the pool's workers" maxLength:"4096"`
	IncludePatterns []string `json:"include_patterns,omitempty" doc:"files: gitignore-style patterns of what is backed up; empty is everything" maxItems:"1000"`
	ExcludePatterns []string `json:"exclude_patterns,omitempty" doc:"files: gitignore-style patterns of what is not" maxItems:"1000"`
	FollowSymlinks  bool     `json:"follow_symlinks,omitempty" doc:"files: back up what symbolic links below source_path point to instead of the links"`
	OneFileSystem   bool     `json:"one_file_system,omitempty" doc:"files: do not descend into other mounted file systems"`
}

// supported are the types that this version has an engine for; package engine/all has the engines.
var supported = []DatasourceType{
	Postgres,
	SQLite,
	MongoDB,
	SQLServer,
	Files,
	MySQL,
	MariaDB,
}

// SupportedDatasource reports whether this version has an engine for t.
func SupportedDatasource(t DatasourceType) bool { return slices.Contains(supported, t) }

// Secrets gives the fields that are secret, by their paths in the document. A field may be empty.
func (c *ConnectionConfig) Secrets() map[string]*string {
	secrets := map[string]*string{"password": &c.Password, "uri": &c.URI}
	if tunnel := c.SSHTunnel; tunnel != nil {
		secrets["ssh_tunnel.password"] = &tunnel.Password
		secrets["ssh_tunnel.private_key"] = &tunnel.PrivateKey
		secrets["ssh_tunnel.passphrase"] = &tunnel.Passphrase
	}
	return secrets
}

// SecretValues are the secrets that are set, for redaction, and the password inside a URI.
func (c ConnectionConfig) SecretValues() []string {
	var values []string
	for _, field := range c.Secrets() {
		if *field != "" {
			values = append(values, *field)
		}
	}
	if u, err := url.Parse(c.URI); err == nil {
		if password, given := u.User.Password(); given && password != "" {
			values = append(values, password, url.QueryEscape(password), url.PathEscape(password))
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// Clone is a copy that shares nothing with c.
func (c ConnectionConfig) Clone() ConnectionConfig {
	if c.SSHTunnel != nil {
		tunnel := *c.SSHTunnel
		c.SSHTunnel = &tunnel
	}
	if c.Databases != nil {
		selection := *c.Databases
		selection.Exclude = slices.Clone(selection.Exclude)
		c.Databases = &selection
	}
	c.IncludePatterns, c.ExcludePatterns = slices.Clone(c.IncludePatterns), slices.Clone(c.ExcludePatterns)
	return c
}

// Target is what a restore replaces unless it is told otherwise: the name of the database, the path of
// the database file, or the folder. It is empty for a server of which every database is backed up.
func (c ConnectionConfig) Target(t DatasourceType) string {
	switch t {
	case SQLite:
		return c.FilePath
	case Files:
		return c.SourcePath
	default:
		return c.Database
	}
}

// Offers reports whether a datasource of type t with this connection includes the database of that name: its
// only one, or one that it selects of a server. What is not of the datasource is not looked into through it.
func (c ConnectionConfig) Offers(t DatasourceType, database string) bool {
	if !IsServer(t) {
		return false
	}
	if c.Databases != nil {
		return c.Databases.Selects(database)
	}
	return c.Database == database
}

// SameFamily reports whether a backup of one type can be restored into the other.
func SameFamily(a, b DatasourceType) bool {
	return a == b || (isMySQL(a) && isMySQL(b))
}

func isMySQL(t DatasourceType) bool { return t == MySQL || t == MariaDB }

// IsServer reports whether datasources of type t are database servers, reached by host and port.
func IsServer(t DatasourceType) bool { return t != SQLite && t != Files }

var defaultPorts = map[DatasourceType]int{Postgres: 5432, MySQL: 3306, MariaDB: 3306, MongoDB: 27017, SQLServer: 1433}

// Normalize fills in defaults and trims what people paste with spaces around it.
func (c *ConnectionConfig) Normalize(t DatasourceType) {
	for _, field := range []*string{
		&c.Host, &c.Database, &c.Username, &c.URI, &c.AuthSource, &c.ReplicaSet, &c.BackupDirectory, &c.WorkerDirectory,
	} {
		*field = strings.TrimSpace(*field)
	}
	for _, field := range []*string{&c.FilePath, &c.SourcePath, &c.WorkerDirectory} {
		if *field != "" {
			*field = filepath.Clean(*field)
		}
	}
	if c.SSHTunnel != nil {
		c.SSHTunnel.normalize()
	}
	if !IsServer(t) || (t == MongoDB && c.URI != "") {
		return
	}
	setDefault(&c.Port, defaultPorts[t])
	if c.SSLMode == "" {
		c.SSLMode = SSLRequire
		if staysOnMachine(c.Host) && c.SSHTunnel == nil {
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
