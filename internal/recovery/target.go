package recovery

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Target is what a backup is restored into: a datasource of some type, or a folder for its plain files.
type Target struct {
	Server   engine.Source
	Database string // of the server, or an absolute path (sqlite, files); "" is every database of the backup
	Folder   string // absolute; then there is no server
}

const (
	readTarget = "read the target"
	targetHint = "Give postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=FILE (or mysql, mariadb, mongodb, sqlserver), " +
		"sqlite:FILE, files:FOLDER, or dir:FOLDER for the plain files of the backup."
)

// schemes are those of URLs of database servers.
var schemes = map[string]domain.DatasourceType{
	"postgres": domain.Postgres, "postgresql": domain.Postgres, "mysql": domain.MySQL, "mariadb": domain.MariaDB,
	"mongodb": domain.MongoDB, "sqlserver": domain.SQLServer,
}

// ParseTarget reads a target as people write it: a URL such as libpq takes, sqlite:FILE, files:FOLDER or
// dir:FOLDER. A URL without a database is the server, for a backup of every database of one. A password
// in a URL would be readable by every process of the machine: it comes apart from it. Errors:
// ConfigInvalid, which never quotes the URL.
func ParseTarget(text, password string) (Target, error) {
	scheme, rest, found := strings.Cut(text, ":")
	switch scheme {
	case "dir", "sqlite", "files":
		return parsePath(scheme, rest)
	}
	kind, known := schemes[scheme]
	address, err := url.Parse(text)
	if !found || !known || err != nil {
		return Target{}, failure.New(failure.ConfigInvalid, readTarget, "it is neither the URL of a database nor a kind of path and a path", targetHint)
	}
	if _, given := address.User.Password(); given {
		return Target{}, failure.New(failure.ConfigInvalid, readTarget, "it holds a password, which every process of this machine can read there",
			"Set PGPASSWORD, or give --password-file.")
	}
	config, err := connection(address)
	if err != nil {
		return Target{}, err
	}
	config.Password = password
	name := fmt.Sprintf("database %q on %s", config.Database, config.Host)
	if config.Database == "" {
		config.Databases = &domain.DatabaseSelection{All: true}
		name = "server " + config.Host
	}
	return newTarget(name, kind, config)
}

// parsePath reads a target that is on this machine.
func parsePath(scheme, path string) (Target, error) {
	if path == "" {
		return Target{}, failure.New(failure.ConfigInvalid, readTarget, "it names no path", targetHint)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Target{}, failure.Wrap(failure.ConfigInvalid, readTarget, err, targetHint)
	}
	switch scheme {
	case "sqlite":
		return newTarget(absolute, domain.SQLite, domain.ConnectionConfig{FilePath: absolute})
	case "files":
		return newTarget(absolute, domain.Files, domain.ConnectionConfig{SourcePath: absolute})
	}
	return Target{Folder: absolute}, nil
}

func newTarget(name string, kind domain.DatasourceType, config domain.ConnectionConfig) (Target, error) {
	config.Normalize(kind)
	if err := config.Validate(kind).OrNil(); err != nil {
		return Target{}, failure.Wrap(failure.ConfigInvalid, readTarget, err, targetHint)
	}
	return Target{Server: engine.Source{Name: name, Type: kind, Config: config}, Database: config.Target(kind)}, nil
}

func connection(address *url.URL) (domain.ConnectionConfig, error) {
	c := domain.ConnectionConfig{Host: address.Hostname(), Database: strings.TrimPrefix(address.Path, "/"), Username: address.User.Username()}
	port := address.Port()
	for name, values := range address.Query() {
		value := values[len(values)-1]
		switch name {
		case "sslmode":
			c.SSLMode = domain.SSLMode(value)
		case "sslrootcert":
			certificate, err := os.ReadFile(value)
			if err != nil {
				return c, failure.Wrap(failure.ConfigInvalid, readTarget, err, targetHint)
			}
			c.CACertificate = string(certificate)
		case "host":
			c.Host = value
		case "port":
			port = value
		case "user":
			c.Username = value
		case "backup_directory":
			c.BackupDirectory = value
		case "worker_directory":
			c.WorkerDirectory = value
		case "auth_source":
			c.AuthSource = value
		default:
			return c, failure.New(failure.ConfigInvalid, readTarget, fmt.Sprintf("it has the parameter %q, which is not known here", name),
				"Known are sslmode, sslrootcert, host, port, user, auth_source (mongodb), backup_directory and worker_directory (sqlserver).")
		}
	}
	if port != "" {
		number, err := strconv.Atoi(port)
		if err != nil {
			return c, failure.New(failure.ConfigInvalid, readTarget, "its port is no number", targetHint)
		}
		c.Port = number
	}
	return c, nil
}

func hashOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
