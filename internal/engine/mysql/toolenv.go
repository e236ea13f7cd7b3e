package mysql

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// toolEnv is the private directory and the environment of one run of a client tool. User and password are
// in an option file that only this user can read, and nowhere else: command lines are public on a
// machine and environments leak into children and crash reports.
type toolEnv struct {
	dir   *process.PrivateDir
	vars  []string
	relay *relay // nil: the tool connects by itself
}

const optionFile = "options.cnf"

// newToolEnv prepares a run of t. A connection with TLS goes through a relay: the two products have
// different settings for it, MariaDB's tools have none for verify-ca, and neither can check a certificate
// for another name than the one they connect to. The caller removes it.
func newToolEnv(ctx context.Context, src engine.Source, t tool, options ...string) (_ *toolEnv, err error) {
	dir, err := process.NewPrivateDir()
	if err != nil {
		return nil, err
	}
	env := &toolEnv{dir: dir, vars: []string{
		"PATH=/usr/bin:/bin",
		"LC_ALL=C",         // messages are classified
		"HOME=" + dir.Path, // no ~/.my.cnf or ~/.mylogin.cnf of the worker's user
	}}
	defer func() {
		if err != nil {
			env.remove()
		}
	}()
	network, at := endpoint(src)
	if encrypted(src.Config) {
		if env.relay, err = startRelay(ctx, src, dir.Path); err != nil {
			return nil, err
		}
		network, at = "unix", relaySocket
	}
	lines, err := connectionOptions(src, t, network, at)
	if err != nil {
		return nil, err
	}
	text := strings.Join(append(append([]string{"[client]"}, lines...), options...), "\n") + "\n"
	return env, process.TempFailure(os.WriteFile(env.optionFile(), []byte(text), 0o600))
}

func connectionOptions(src engine.Source, t tool, network, at string) ([]string, error) {
	lines := []string{option("user", src.Config.Username), option("password", src.Config.Password)}
	if network == "unix" {
		lines = append(lines, option("socket", at), "protocol=socket")
	} else {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, fmt.Errorf("split %q: %w", at, err)
		}
		lines = append(lines, option("host", host), "port="+port, "protocol=tcp")
	}
	if t.version.mariadb {
		return append(lines, "skip-ssl"), nil
	}
	return append(lines, "loose-ssl-mode=DISABLED", "loose-get-server-public-key"), nil
}

// option is a line of an option file. Quotes keep spaces and #, a backslash escapes.
func option(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value) + `"`
}

func (e *toolEnv) optionFile() string { return filepath.Join(e.dir.Path, optionFile) }

// command is a run of t. The option file is its only one.
func (e *toolEnv) command(t tool, src engine.Source, args ...string) process.Command {
	return process.Command{
		Path: t.path, Args: append([]string{"--defaults-file=" + e.optionFile()}, args...), Env: e.vars,
		Dir:     e.dir.Path, // the relay's socket is named relative to it: paths of sockets must be short
		Secrets: []string{src.Config.Password},
	}
}

// explain prefers what the relay met to what the tool made of it.
func (e *toolEnv) explain(err error) error {
	if err == nil || e.relay == nil {
		return err
	}
	if cause := e.relay.failure(); cause != nil {
		return cause
	}
	return err
}

func (e *toolEnv) remove() {
	if e.relay != nil {
		e.relay.stop()
	}
	e.dir.Remove()
}
