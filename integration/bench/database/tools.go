package database

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Tools are the paths of the programs that a backup by hand uses.
type Tools struct{ PgDump, PgRestore, CreateDB, pgBench, Zstd, Age, DD string }

func findTools(binDir string) (Tools, error) {
	found := Tools{}
	for name, path := range map[string]*string{"pg_dump": &found.PgDump, "pg_restore": &found.PgRestore, "createdb": &found.CreateDB, "pgbench": &found.pgBench} {
		*path = filepath.Join(binDir, name)
		if err := unix.Access(*path, unix.X_OK); err != nil {
			return Tools{}, fmt.Errorf("bench: %s: %w; install the PostgreSQL client tools (make deps does)", *path, err)
		}
	}
	for name, path := range map[string]*string{"zstd": &found.Zstd, "age": &found.Age, "dd": &found.DD} {
		var err error
		if *path, err = exec.LookPath(name); err != nil {
			return Tools{}, fmt.Errorf("bench: %w; install it (make deps does)", err)
		}
	}
	return found, nil
}

// Dump is the command line of pg_dump as every contestant uses it: one uncompressed stream.
func (t Tools) Dump(address Address) []string {
	return append([]string{t.PgDump, "-Fc", "-Z0", "--no-password"}, address.Arguments()...)
}

// versionIn finds the first word with a digit and a dot in what a program says about itself.
func versionIn(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.Trim(word, ",*()v")
		if strings.Contains(word, ".") && strings.ContainsAny(word, "0123456789") {
			return word
		}
	}
	return strings.TrimSpace(text)
}
