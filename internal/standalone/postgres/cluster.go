package postgres

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxSocketPath is the longest path of a Unix socket on every system (104 bytes on the BSDs).
const maxSocketPath = 103

// cluster is the directory of one private Postgres.
type cluster struct {
	dir    string
	binDir string
	owner  *account // nil: the user we are
}

func (c cluster) pgdata() string       { return filepath.Join(c.dir, "pgdata") }
func (c cluster) passwordPath() string { return filepath.Join(c.dir, "password") }
func (c cluster) logPath() string      { return filepath.Join(c.dir, "postgres.log") }

// socketDir is "" where the socket's path would be longer than the system allows.
func (c cluster) socketDir() string {
	dir := filepath.Join(c.dir, "socket")
	if len(filepath.Join(dir, ".s.PGSQL.65535.lock")) > maxSocketPath {
		return ""
	}
	return dir
}

// version is the major version the cluster was made with, "" when there is no cluster.
func (c cluster) version() string {
	text, err := os.ReadFile(filepath.Join(c.pgdata(), "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// prepareDirectory makes the data directory, gives it to the user that runs Postgres, and checks
// that this user can get there.
func (c cluster) prepareDirectory() error {
	const hint = "Give a data directory that this user may write."
	//nolint:gosec // another user, who runs Postgres, has to pass through it
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o755); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "make the parent of "+c.dir, err, hint)
	}
	dirs := []string{c.dir}
	if socket := c.socketDir(); socket != "" {
		dirs = append(dirs, socket)
	}
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return failure.Wrap(failure.ConfigInvalid, "make "+dir, err, hint)
		}
		if err := c.giveAway(dir); err != nil {
			return err
		}
	}
	return c.checkParents()
}

// giveAway makes the user that runs Postgres the owner of path.
func (c cluster) giveAway(path string) error {
	if c.owner == nil {
		return nil
	}
	if err := os.Lchown(path, int(c.owner.uid), int(c.owner.gid)); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "give "+path+" to user "+c.owner.name, err, "")
	}
	return nil
}

// checkParents refuses a directory below one that the user that runs Postgres can not enter:
// Postgres would only say "permission denied".
func (c cluster) checkParents() error {
	if c.owner == nil {
		return nil
	}
	for dir := filepath.Dir(c.dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return failure.Wrap(failure.ConfigInvalid, "look at "+dir, err, "")
		}
		if !c.owner.canEnter(info) {
			return failure.New(failure.ConfigInvalid, "use "+c.dir+" for Postgres",
				fmt.Sprintf("as root, Postgres runs as user %s, who can not enter %s (mode %04o)", c.owner.name, dir, info.Mode().Perm()),
				"Give a data directory elsewhere, for example /var/lib/dataguardian, or run chmod o+x "+dir+".")
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// initialize makes the cluster unless there is one. It is made beside its final place and renamed,
// so that an interrupted initdb leaves nothing that looks like a cluster.
func (c cluster) initialize(ctx context.Context, noSync bool) error {
	if c.version() != "" {
		return nil
	}
	if entries, err := os.ReadDir(c.pgdata()); err == nil && len(entries) > 0 {
		return failure.New(failure.ConfigInvalid, "make a Postgres cluster", c.pgdata()+" has files but no PG_VERSION",
			"Move these files away, or give another data directory.")
	}
	fresh := c.pgdata() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return failure.Wrap(failure.Unknown, "remove what an interrupted initdb left", err, "")
	}
	if err := c.writePassword(); err != nil {
		return err
	}
	out, err := c.initdb(ctx, fresh, "C.UTF-8", noSync)
	if err != nil && strings.Contains(string(out), "invalid locale name") {
		_ = os.RemoveAll(fresh)
		out, err = c.initdb(ctx, fresh, "C", noSync)
	}
	if err != nil {
		return failure.Wrap(failure.Unknown, "make a Postgres cluster in "+c.dir, fmt.Errorf("initdb: %w: %s", err, lastLines(out)), "")
	}
	if err := os.Rename(fresh, c.pgdata()); err != nil {
		return failure.Wrap(failure.Unknown, "put the Postgres cluster in place", err, "")
	}
	return nil
}

func (c cluster) initdb(ctx context.Context, dir, locale string, noSync bool) ([]byte, error) {
	args := []string{
		"--pgdata=" + dir, "--username=" + User, "--pwfile=" + c.passwordPath(), "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=" + locale, "--data-checksums",
	}
	if noSync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.binDir, "initdb"), args...)
	cmd.Dir = c.dir
	cmd.Env = toolEnvironment()
	cmd.SysProcAttr = toolAttributes(c.owner)
	return cmd.CombinedOutput()
}

// writePassword makes a new password; the file is read by initdb, so its user owns it.
func (c cluster) writePassword() error {
	secret := make([]byte, 24)
	_, _ = rand.Read(secret) // never fails
	if err := os.WriteFile(c.passwordPath(), []byte(base64.RawURLEncoding.EncodeToString(secret)), 0o600); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "keep the password of Postgres", err, "")
	}
	return c.giveAway(c.passwordPath())
}

func (c cluster) password() (string, error) {
	text, err := os.ReadFile(c.passwordPath())
	if err != nil {
		return "", failure.Wrap(failure.ConfigInvalid, "read the password of Postgres", err,
			"The file belongs to the cluster beside it; restore it from your copy of the data directory.")
	}
	return strings.TrimSpace(string(text)), nil
}

// serverArguments are the server's command line; it is visible to every user, so no secret is in it.
func (c cluster) serverArguments(port int, opts Options) []string {
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(port), "unix_socket_directories": c.socketDir(),
		"unix_socket_permissions": "0700", "max_connections": "200", "timezone": "UTC", "log_timezone": "UTC",
	}
	if opts.NoSync {
		maps.Copy(settings, map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, opts.Settings)
	args := []string{"-D", c.pgdata()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// openLog starts a new log and keeps the last one, so that the reason of a crash is still there
// after the restart.
func (c cluster) openLog() (*os.File, error) {
	_ = os.Rename(c.logPath(), c.logPath()+".1")
	file, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "open the log of Postgres", err, "")
	}
	return file, nil
}

func (c cluster) logTail() string {
	file, err := os.Open(c.logPath())
	if err != nil {
		return "no log"
	}
	defer func() { _ = file.Close() }()
	text, _ := io.ReadAll(io.LimitReader(file, 64<<10))
	return lastLines(text)
}

// lastLines is the end of a tool's output, short enough for an error message.
func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	return strings.Join(lines, " | ")
}

// toolEnvironment leaves out every PG* variable: they would change what the tools do.
func toolEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "LC_MESSAGES=C", "TZ=UTC"}
}
