package config

import (
	"os"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// Recover is what `recover` takes from its environment: it must work on a machine that knows
// nothing of an installation, so nothing else of it is looked at.
type Recover struct {
	// Password is that of the database that is restored into.
	Password Secret `env:"PGPASSWORD"`
	// ClientToolsPath is as Worker has it.
	ClientToolsPath []string `env:"DATAGUARDIAN_CLIENT_TOOLS_PATH" envSeparator:":"`
}

// RecoverFlags are the flags of `recover` that stand for a variable.
var RecoverFlags = []Flag{
	{"client-tools-path", "DATAGUARDIAN_CLIENT_TOOLS_PATH", "directories searched first for pg_restore, separated by ':'"},
}

// LoadRecover reads the settings of `recover`.
func LoadRecover(flags *pflag.FlagSet) (Recover, error) {
	values, _ := given(os.Environ(), flags)
	var r Recover
	if err := env.ParseWithOptions(&r, env.Options{Environment: values}); err != nil {
		return r, invalid([]string{err.Error()})
	}
	return r, nil
}
