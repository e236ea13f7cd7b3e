package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// systemDirs is where Debian and its relatives, and the PGDG packages of Red Hat's, put the client
// tools of each major version side by side.
var systemDirs = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"}

// versionTimeout bounds `pg_dump --version`.
const versionTimeout = 10 * time.Second

// toolbox finds client tools.
type toolbox struct {
	dirs []string  // searched before the usual places
	only bool      // the usual places are not searched
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
	version string // as it says itself, "15.18"
	major   int
}

// atLeast returns the installed program of the smallest major version that is not below major: a
// tool reads older servers and archives, never newer ones, and the nearest has the fewest
// surprises. One in the given directories is preferred to any in the usual places. None is failure.ToolMissing, naming the package to install.
func (b toolbox) atLeast(ctx context.Context, name string, major int) (tool, error) {
	var best tool
	var seen []string
	for _, dirs := range b.places() {
		for _, path := range candidates(dirs, name) {
			found, err := b.inspect(ctx, path)
			if err != nil {
				if ctx.Err() != nil {
					return tool{}, ctx.Err()
				}
				continue
			}
			seen = append(seen, fmt.Sprintf("%s (%s)", found.path, found.version))
			if found.major >= major && (best.path == "" || found.major < best.major) {
				best = found
			}
		}
		if best.path != "" {
			return best, nil
		}
	}
	have := "none is installed"
	if len(seen) > 0 {
		have = "found only " + strings.Join(seen, ", ")
	}
	return tool{}, failure.New(failure.ToolMissing, "look for "+name,
		fmt.Sprintf("%s of version %d or newer is needed; %s", name, major, have), b.installHint(major))
}

func (b toolbox) installHint(major int) string {
	pkg := "postgresql-client"
	if major > 0 {
		pkg = fmt.Sprintf("postgresql-client-%d", major)
	}
	hint := "Install it on the worker: apt-get install " + pkg + " (every major version is at https://apt.postgresql.org)"
	if len(b.dirs) > 0 {
		return hint + ", or add the directory that has it to the worker's client tools path, which is now " + strings.Join(b.dirs, ":") + "."
	}
	return hint + "."
}

// places are the directories to search: the given ones, then the usual ones.
func (b toolbox) places() [][]string {
	if b.only {
		return [][]string{b.dirs}
	}
	var usual []string
	for _, pattern := range systemDirs {
		matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
		usual = append(usual, matches...)
	}
	usual = append(usual, filepath.SplitList(os.Getenv("PATH"))...)
	return [][]string{b.dirs, slices.DeleteFunc(usual, func(dir string) bool { return slices.Contains(b.dirs, dir) })}
}

// candidates lists the existing programs called name in dirs, in their order.
func candidates(dirs []string, name string) []string {
	var paths []string
	for _, dir := range dirs {
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		// Debian's pg_wrapper picks a version by rules of its own; the real programs are beside it.
		if err != nil || filepath.Base(real) == "pg_wrapper" {
			continue
		}
		if info, err := os.Stat(real); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			paths = append(paths, path)
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

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[^\s]*)`)

// inspectTool asks a program for its version.
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
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return tool{}, fmt.Errorf("%s does not tell its version", path)
	}
	major, err := strconv.Atoi(string(match[2]))
	if err != nil {
		return tool{}, err
	}
	return tool{path: path, version: string(match[1]), major: major}, nil
}
