// Package config is one struct read from the environment and the command line, checked once. It is
// the only reader of the environment: what is not here can not be configured.
package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Config is everything a process is told. Each field has one environment variable; a flag, where
// there is one, stands for the variable and wins over it (see flags.go).
type Config struct {
	// Listen is host:port of the API.
	Listen string `env:"DATAGUARDIAN_LISTEN" envDefault:"127.0.0.1:8080"`
	// TrustedProxies are addresses or networks whose X-Forwarded-For header is believed.
	TrustedProxies []string `env:"DATAGUARDIAN_TRUSTED_PROXIES"`
	// TLSCert and TLSKey are files in PEM; with them the API speaks https.
	TLSCert string `env:"DATAGUARDIAN_TLS_CERT"`
	TLSKey  string `env:"DATAGUARDIAN_TLS_KEY"`
	// CORSOrigins are the origins whose pages browsers let use the API.
	CORSOrigins []string `env:"DATAGUARDIAN_CORS_ORIGINS"`
	// DataDir holds all state of `up`. Load fills it in: see defaultDataDir.
	DataDir string `env:"DATAGUARDIAN_DATA_DIR"`

	Database  Database
	Temporal  Temporal
	MasterKey MasterKey
	Worker    Worker
	OIDC      OIDC
	Log       Log
	Demo      Demo

	chosen map[string]bool // the variables that were given, by environment or flag
}

// Database is the Postgres that keeps the catalogue. `up` runs one of its own when URL is empty.
type Database struct {
	URL Secret `env:"DATABASE_URL"`
	// MaxConns bounds the connection pool of one process.
	MaxConns int32 `env:"DATAGUARDIAN_DB_MAX_CONNS" envDefault:"16"`
}

// Temporal is the service that runs the workflows. `up` runs one of its own when Address is empty.
type Temporal struct {
	Address       string `env:"TEMPORAL_ADDRESS"` // host:port of the frontend
	Namespace     string `env:"TEMPORAL_NAMESPACE" envDefault:"dataguardian"`
	TLSCert       string `env:"TEMPORAL_TLS_CERT"` // files in PEM
	TLSKey        string `env:"TEMPORAL_TLS_KEY"`
	TLSCA         string `env:"TEMPORAL_TLS_CA"`
	TLSServerName string `env:"TEMPORAL_TLS_SERVER_NAME"`
	APIKey        Secret `env:"TEMPORAL_API_KEY"`
	UIURL         string `env:"TEMPORAL_UI_URL"` // for links; `up` knows its own
	// Retention of closed workflows in a namespace that we create.
	Retention time.Duration `env:"TEMPORAL_RETENTION" envDefault:"720h"`
	// FrontendPort and UIPort are those of the embedded server.
	FrontendPort int `env:"DATAGUARDIAN_TEMPORAL_PORT" envDefault:"7233"`
	UIPort       int `env:"DATAGUARDIAN_TEMPORAL_UI_PORT" envDefault:"8233"`
}

// MasterKey seals the secrets in the database: the key itself, or the file that holds it. `up`
// makes a key file in its data directory when neither is set.
type MasterKey struct {
	Value Secret `env:"DATAGUARDIAN_MASTER_KEY"`
	File  string `env:"DATAGUARDIAN_MASTER_KEY_FILE"`
	// New is the key that `rekey` changes to.
	New Secret `env:"DATAGUARDIAN_NEW_MASTER_KEY"`
}

// Worker is what a process that runs activities may use.
type Worker struct {
	Pools []string `env:"DATAGUARDIAN_POOLS" envDefault:"default"`
	// Slots is how many activities a pool runs at once.
	Slots int `env:"DATAGUARDIAN_SLOTS" envDefault:"4"`
	// DataListen is host:port on which downloads are served to the API, or off; DataURL is the address
	// under which the API reaches it.
	DataListen string `env:"DATAGUARDIAN_DATA_LISTEN" envDefault:"127.0.0.1:0"`
	DataURL    string `env:"DATAGUARDIAN_DATA_URL"`
	// ClientToolsPath lists directories searched first for pg_dump and its like, separated by ':'.
	ClientToolsPath []string `env:"DATAGUARDIAN_CLIENT_TOOLS_PATH" envSeparator:":"`
	// HookCommands lists the programs that hooks of backup jobs may run on this worker, as absolute paths
	// separated by ':'; empty is none.
	HookCommands []string `env:"DATAGUARDIAN_HOOK_COMMANDS" envSeparator:":"`
	// GoMemLimit and GoGC are only looked at: the Go runtime obeys them by itself.
	GoMemLimit string `env:"GOMEMLIMIT"`
	GoGC       string `env:"GOGC"`
}

// Log says how much is logged, and how it looks.
type Log struct {
	Level  slog.Level `env:"DATAGUARDIAN_LOG_LEVEL" envDefault:"info"`
	Format string     `env:"DATAGUARDIAN_LOG_FORMAT" envDefault:"text"`
}

// Demo steers `demo`.
type Demo struct {
	Exit   bool `env:"DEMO_EXIT"`
	SizeMB int  `env:"DEMO_SIZE_MB" envDefault:"200"` // of the sample database, 10^6 bytes
}

// Chosen reports whether the variable was given, by environment or flag, so that its value is the
// operator's wish and not our default.
func (c *Config) Chosen(variable string) bool { return c.chosen[variable] }

// MasterKeyFile is the key file that `up` keeps in its data directory.
func (c *Config) MasterKeyFile() string { return filepath.Join(c.DataDir, "master.key") }

// defaultDataDir is where a system keeps such state: /var/lib for root, the user's state directory
// for others.
func defaultDataDir(environment map[string]string) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/dataguardian", nil
	}
	if state := environment["XDG_STATE_HOME"]; filepath.IsAbs(state) {
		return filepath.Join(state, "dataguardian"), nil
	}
	if home := environment["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "dataguardian"), nil
	}
	return "", fmt.Errorf("DATAGUARDIAN_DATA_DIR is not set and there is no HOME to put the data below; set it to an absolute path")
}
