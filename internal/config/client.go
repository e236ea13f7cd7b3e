package config

import (
	"os"
	"path/filepath"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// Client is what the commands that talk to a server take from their environment.
type Client struct {
	// URL is the server's address; "" is the one that was signed in to last.
	URL string `env:"DATAGUARDIAN_URL"`
	// Token takes the place of a kept session.
	Token Secret `env:"DATAGUARDIAN_TOKEN"`
	// CAFile holds authorities, in PEM, that are trusted besides the system's.
	CAFile string `env:"DATAGUARDIAN_CA_FILE"`
	// CredentialsFile is where sessions are kept. LoadClient fills it in; "" where there is no home.
	CredentialsFile string `env:"DATAGUARDIAN_CREDENTIALS_FILE"`
}

// ClientFlags are the flags of those commands that stand for a variable.
var ClientFlags = []Flag{
	{"url", "DATAGUARDIAN_URL", "address of the server (default the one that was signed in to last, else http://127.0.0.1:8080)"},
	{"ca-file", "DATAGUARDIAN_CA_FILE", "PEM file of authorities to trust besides the system's"},
}

// LoadClient reads the settings of the commands that talk to a server. Nothing else of the environment is looked at: they
// work where no server is configured.
func LoadClient(flags *pflag.FlagSet) (Client, error) {
	return loadClient(os.Environ(), flags)
}

func loadClient(environ []string, flags *pflag.FlagSet) (Client, error) {
	values, _ := given(environ, flags)
	var c Client
	if err := env.ParseWithOptions(&c, env.Options{Environment: values}); err != nil {
		return c, invalid([]string{err.Error()})
	}
	if c.CredentialsFile == "" {
		c.CredentialsFile = defaultCredentials(values)
	}
	return c, nil
}

// defaultCredentials is in the user's configuration directory.
func defaultCredentials(environment map[string]string) string {
	dir := environment["XDG_CONFIG_HOME"]
	if !filepath.IsAbs(dir) {
		home := environment["HOME"]
		if !filepath.IsAbs(home) {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "dataguardian", "credentials.json")
}

// Lookup reads a variable that a person's own document names.
func Lookup(name string) (string, bool) { return os.LookupEnv(name) }
