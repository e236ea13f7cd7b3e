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

// Target is what a backup is restored into: a database of a server, or a folder.
type Target struct {
	Server   engine.Source
	Database string
	Folder   string // absolute; then there is no server
}

const (
	readTarget = "read the target"
	targetHint = "Give postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=FILE, sqlite:FILE, or dir:FOLDER."
)

// ParseTarget reads a target as people write it: a postgres:// URL as libpq takes it, sqlite:FILE, or dir:FOLDER.
// A password in a URL would be readable by every process of the machine: it comes apart from it.
// Errors: ConfigInvalid, which never quotes the URL.
func ParseTarget(text, password string) (Target, error) {
	if folder, is := strings.CutPrefix(text, "dir:"); is {
		if folder == "" {
			return Target{}, failure.New(failure.ConfigInvalid, readTarget, "the folder has no name", targetHint)
		}
		absolute, err := filepath.Abs(folder)
		return Target{Folder: absolute}, failure.Wrap(failure.ConfigInvalid, readTarget, err, targetHint)
	}
	if file, is := strings.CutPrefix(text, "sqlite:"); is {
		return sqliteTarget(file)
	}
	address, err := url.Parse(text)
	if err != nil || (address.Scheme != "postgres" && address.Scheme != "postgresql") {
		return Target{}, failure.New(failure.ConfigInvalid, readTarget, "it is neither a postgres:// URL nor sqlite: and a file nor dir: and a folder", targetHint)
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
	config.Normalize(domain.Postgres)
	if err := config.Validate(domain.Postgres).OrNil(); err != nil {
		return Target{}, failure.Wrap(failure.ConfigInvalid, readTarget, err, targetHint)
	}
	name := fmt.Sprintf("database %q on %s", config.Database, config.Host)
	return Target{Server: engine.Source{Name: name, Type: domain.Postgres, Config: config}, Database: config.Database}, nil
}

// sqliteTarget is a database file of this machine.
func sqliteTarget(file string) (Target, error) {
	if file == "" {
		return Target{}, failure.New(failure.ConfigInvalid, readTarget, "the file has no name", targetHint)
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return Target{}, failure.Wrap(failure.ConfigInvalid, readTarget, err, targetHint)
	}
	config := domain.ConnectionConfig{FilePath: absolute}
	return Target{Server: engine.Source{Name: "database file " + absolute, Type: domain.SQLite, Config: config}, Database: absolute}, nil
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
		default:
			return c, failure.New(failure.ConfigInvalid, readTarget, fmt.Sprintf("it has the parameter %q, which is not known here", name),
				"Known are sslmode, sslrootcert, host, port and user.")
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
