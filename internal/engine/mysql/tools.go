package mysql

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// versionTimeout bounds `mariadb-dump --version`.
const versionTimeout = 10 * time.Second

// Programs by what they do, each product's own name first. Which product a program is of, it says itself:
// MariaDB's packages install its programs under MySQL's names too.
var (
	dumpPrograms   = []string{"mariadb-dump", "mysqldump"}
	clientPrograms = []string{"mariadb", "mysql"}
)

// toolbox finds client tools.
type toolbox struct {
	dirs []string  // searched before PATH
	only bool      // PATH is not searched
	seen *sync.Map // *inspected by path
}

// inspected is a tool as it was when it told its version.
type inspected struct {
	file os.FileInfo
	tool tool
}

// tool is one installed client program.
type tool struct {
	path    string
	version version
}

func (t tool) name() string { return filepath.Base(t.path) }

// dumper returns the program that dumps a server, and what people should know about the choice.
func (b toolbox) dumper(ctx context.Context, server version) (tool, []string, error) {
	return b.choose(ctx, dumpPrograms, server)
}

// client returns the program that loads a dump into a server.
func (b toolbox) client(ctx context.Context, server version) (tool, []string, error) {
	return b.choose(ctx, clientPrograms, server)
}

// choose takes a program of the server's own product if there is one, of the nearest version; else one of
// the other product. Programs that are known not to work with the server are left out; one in the given
// directories is preferred to any in PATH.
func (b toolbox) choose(ctx context.Context, programs []string, server version) (tool, []string, error) {
	var best tool
	var seen []string
	for _, dirs := range b.places() {
		for _, path := range candidates(dirs, programs) {
			found, err := b.inspect(ctx, path)
			if ctx.Err() != nil {
				return tool{}, nil, ctx.Err()
			}
			if err != nil {
				continue
			}
			seen = append(seen, fmt.Sprintf("%s (%s %s)", found.path, found.version.product(), found.version.text))
			if tooOld(found.version, server) == "" && (best.path == "" || better(found.version, best.version, server)) {
				best = found
			}
		}
		if best.path != "" {
			return best, b.doubts(best, server), nil
		}
	}
	return tool{}, nil, b.missing(programs, seen, server)
}

// better reports whether a serves the server better than b.
func better(a, b, server version) bool {
	if native := a.mariadb == server.mariadb; native != (b.mariadb == server.mariadb) {
		return native
	}
	newA, newB := a.atLeast(server.major, server.minor), b.atLeast(server.major, server.minor)
	switch {
	case newA != newB:
		return newA
	case newA:
		return !a.atLeast(b.major, b.minor) // both are new enough: the nearest
	}
	return !b.atLeast(a.major, a.minor)
}

// tooOld tells why a tool can not serve a server, or "": what a tool does not know of its dump lacks, or
// the server does not answer it.
func tooOld(tool, server version) string {
	switch {
	case tool.mariadb && server.mariadb && server.atLeast(10, 3) && !tool.atLeast(10, 3):
		return "tools before MariaDB 10.3 know no sequences and no system-versioned tables"
	case tool.mariadb == server.mariadb && !server.mariadb && tool.major < server.major:
		return fmt.Sprintf("tools of MySQL %d do not know the server's tables of MySQL %d", tool.major, server.major)
	case tool.mariadb && !server.mariadb && server.atLeast(8, 0) && !tool.atLeast(10, 3):
		return "tools before MariaDB 10.3 can not log in to MySQL 8"
	case !tool.mariadb && server.mariadb && server.atLeast(10, 3) && tool.atLeast(8, 0):
		return "mysqldump of MySQL 8 and later takes MariaDB's sequences for tables"
	}
	return ""
}

// doubts tells people of a pair that works but is not made for each other.
func (b toolbox) doubts(t tool, server version) []string {
	switch {
	case t.version.mariadb != server.mariadb:
		return []string{fmt.Sprintf("%s of %s %s serves this %s server: what only %s has may be missing or differ; install the tools of %s",
			t.name(), t.version.product(), t.version.series(), server.product(), server.product(), server.product())}
	case !t.version.atLeast(server.major, server.minor):
		return []string{fmt.Sprintf("%s %s is older than the server (%s): install the tools of the server's version",
			t.name(), t.version.series(), server.series())}
	}
	return nil
}

func (b toolbox) missing(programs, seen []string, server version) error {
	have := "none is installed"
	if len(seen) > 0 {
		have = "found only " + strings.Join(seen, ", ")
	}
	pkg := "mariadb-client"
	if !server.mariadb {
		pkg = "mysql-client (of https://dev.mysql.com/downloads/repo/apt/) or mariadb-client"
	}
	hint := "Install it on the worker: apt-get install " + pkg
	if len(b.dirs) > 0 {
		hint += ", or add the directory that has it to the worker's client tools path, which is now " + strings.Join(b.dirs, ":")
	}
	return failure.New(failure.ToolMissing, "look for "+strings.Join(programs, " or "),
		fmt.Sprintf("one that can serve a %s %s server is needed; %s", server.product(), server.series(), have), hint+".")
}

// places are the directories to search: the given ones, then PATH.
func (b toolbox) places() [][]string {
	if b.only {
		return [][]string{b.dirs}
	}
	path := filepath.SplitList(os.Getenv("PATH"))
	return [][]string{b.dirs, slices.DeleteFunc(path, func(dir string) bool { return slices.Contains(b.dirs, dir) })}
}

// candidates lists the existing programs of the names in dirs, in order of preference.
func candidates(dirs, names []string) []string {
	var paths []string
	for _, name := range names {
		for _, dir := range dirs {
			path, err := filepath.Abs(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// inspect asks a program for its version, unless it did and the file is still the same one.
func (b toolbox) inspect(ctx context.Context, path string) (tool, error) {
	file, err := os.Stat(path)
	if err != nil {
		return tool{}, err
	}
	if known, ok := b.seen.Load(path); ok {
		before := known.(*inspected)
		if os.SameFile(before.file, file) && before.file.ModTime().Equal(file.ModTime()) && before.file.Size() == file.Size() {
			return before.tool, nil
		}
	}
	found, err := inspectTool(ctx, path)
	if err == nil {
		b.seen.Store(path, &inspected{file: file, tool: found})
	}
	return found, err
}

func inspectTool(ctx context.Context, path string) (tool, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version") //nolint:gosec // a program the operator installed
	cmd.Env = []string{"LC_ALL=C"}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return tool{}, err
	}
	v, known := parseToolVersion(string(out))
	if !known {
		return tool{}, fmt.Errorf("%s does not tell its version", path)
	}
	return tool{path: path, version: v}, nil
}

var (
	mariadbTool = regexp.MustCompile(`(\d+\.\d+\.\d+)[^\s,]*-MariaDB`)
	mysqlTool   = regexp.MustCompile(`(?:Distrib|Ver) (\d+\.\d+\.\d+)`)
)

// parseToolVersion reads what a program answers to --version: "mariadb-dump  Ver 10.19 Distrib
// 10.11.19-MariaDB, for …", "mariadb-dump from 11.4.2-MariaDB, client 10.19 for …", "mysqldump  Ver 8.0.36 for …",
// "mysqldump  Ver 10.13 Distrib 5.7.44, for …".
func parseToolVersion(said string) (version, bool) {
	for _, pattern := range []*regexp.Regexp{mariadbTool, mysqlTool} {
		if match := pattern.FindStringSubmatch(said); match != nil {
			v := version{text: match[1], mariadb: pattern == mariadbTool}
			v.major, v.minor = seriesOf(match[1])
			return v, true
		}
	}
	return version{}, false
}
