package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// toolEnv is the private directory and the environment of one run of a client tool. The password
// is in a file that only this user can read, and nowhere else: command lines are public on a
// machine and environments leak into children and crash reports.
type toolEnv struct {
	dir  *process.PrivateDir
	vars []string
}

// newToolEnv prepares the environment for a connection to database. The caller removes it.
func newToolEnv(src engine.Source, database string) (*toolEnv, error) {
	cfg := src.Config
	host, port, err := via(src)
	if err != nil {
		return nil, err
	}
	dir, err := process.NewPrivateDir()
	if err != nil {
		return nil, err
	}
	env := &toolEnv{dir: dir}
	mode := cfg.SSLMode
	if mode == "" {
		mode = domain.SSLDisable
	}
	env.vars = []string{
		"PATH=/usr/bin:/bin",
		"LC_ALL=C",         // messages are classified
		"HOME=" + dir.Path, // no ~/.pgpass, ~/.pg_service.conf or ~/.postgresql of the worker's user
		"PGHOST=" + cfg.Host,
		"PGUSER=" + cfg.Username,
		"PGDATABASE=" + database,
		"PGAPPNAME=" + appName,
		"PGSSLMODE=" + string(mode),
		"PGGSSENCMODE=disable",
		"PGCONNECT_TIMEOUT=" + strconv.Itoa(int(connectTimeout/time.Second)),
	}
	if host != "" { // libpq connects there, and checks the certificate for PGHOST
		env.vars = append(env.vars, "PGHOSTADDR="+host, "PGPORT="+strconv.Itoa(int(port)))
	} else {
		env.vars = append(env.vars, "PGPORT="+strconv.Itoa(cfg.Port))
	}
	if err := env.addFile("PGPASSFILE", "pgpass", passLine(cfg.Password)); err != nil {
		env.remove()
		return nil, err
	}
	if cfg.CACertificate != "" {
		if err := env.addFile("PGSSLROOTCERT", "root.crt", cfg.CACertificate); err != nil {
			env.remove()
			return nil, err
		}
	}
	return env, nil
}

func (e *toolEnv) addFile(variable, name, content string) error {
	path, err := e.write(name, content)
	if err == nil {
		e.vars = append(e.vars, variable+"="+path)
	}
	return err
}

// write makes a file in the private directory.
func (e *toolEnv) write(name, content string) (path string, err error) {
	path = filepath.Join(e.dir.Path, name)
	return path, tempFailure(os.WriteFile(path, []byte(content), 0o600))
}

func (e *toolEnv) remove() { e.dir.Remove() }

// passLine is the one entry of the password file: any host, port, database and user, because the
// file serves one connection. A colon and a backslash in the password are escaped.
func passLine(password string) string {
	return "*:*:*:*:" + strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(password) + "\n"
}

// connInfo names a database in a connection string, so that no name is taken for one itself.
func connInfo(database string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

func tempFailure(err error) error { return process.TempFailure(err) }
