package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// systemBinDirs is where packages put the server: Debian and its children first, then others.
var systemBinDirs = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"}

const installHint = "Install the Postgres server (apt-get install postgresql), or set DATABASE_URL to a server you run."

// findBinaries returns the directory of initdb and postgres: dir if given, else that of the
// major version the cluster was made with, else the newest of PATH and the system directories.
func findBinaries(ctx context.Context, dir, clusterVersion string) (string, error) {
	candidates := []string{dir}
	if dir == "" {
		candidates = candidateBinDirs()
	}
	var best, seen string
	bestMajor := -1
	for _, candidate := range candidates {
		if !isExecutable(filepath.Join(candidate, "postgres")) || !isExecutable(filepath.Join(candidate, "initdb")) {
			continue
		}
		major, err := majorVersion(ctx, candidate)
		if err != nil {
			continue
		}
		seen += fmt.Sprintf(" %d in %s", major, candidate)
		if clusterVersion != "" && strconv.Itoa(major) != clusterVersion {
			continue
		}
		if major > bestMajor {
			best, bestMajor = candidate, major
		}
	}
	switch {
	case best != "":
		return best, nil
	case seen != "":
		return "", failure.New(failure.ToolMissing, "find the Postgres server",
			fmt.Sprintf("the data directory was made by Postgres %s, and this machine has%s", clusterVersion, seen),
			"Install postgresql-"+clusterVersion+", or move the data with pg_dumpall.")
	default:
		return "", failure.New(failure.ToolMissing, "find the Postgres server",
			"initdb and postgres are neither on PATH nor in "+strings.Join(systemBinDirs, ", "), installHint)
	}
}

func candidateBinDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range systemBinDirs {
		matches, _ := filepath.Glob(pattern) // the patterns are well formed
		dirs = append(dirs, matches...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// majorVersion asks the binary itself: "postgres (PostgreSQL) 15.14 (Debian …)".
func majorVersion(ctx context.Context, binDir string) (int, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(binDir, "postgres"), "--version").Output()
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(out), "(PostgreSQL) ")
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 1 {
		return 0, fmt.Errorf("no version in %q", out)
	}
	return strconv.Atoi(rest[:digits])
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
