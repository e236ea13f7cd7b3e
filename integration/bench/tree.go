package main

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// What the tree of the files cases has at least, where the module cache has as much.
const (
	treeFiles = 48_000
	treeBytes = 1_600_000_000
	// A module with more files than this is left out: the corpus of a parser's tests, of 127,000 files of a few hundred bytes, would be half of
	// the tree wherever it lies in the cache, and nothing where it does not.
	moduleFiles = treeFiles / 4
)

// tree is the directory of the files cases.
type tree struct {
	files int
	bytes int64
}

func (s *suite) treeDir() string { return filepath.Join(s.dir, "tree") }

// makeTree copies the Go toolchain and modules out of the cache, once.
func (s *suite) makeTree(ctx context.Context) error {
	if s.tree.files > 0 {
		return nil
	}
	say("copying the Go toolchain and module cache")
	told, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("bench: go env: %w", err)
	}
	root, cache, _ := strings.Cut(strings.TrimSpace(string(told)), "\n")
	if err := s.copyIn(ctx, root, "go", math.MaxInt); err != nil {
		return err
	}
	err = filepath.WalkDir(cache, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if path == filepath.Join(cache, "cache") {
			return filepath.SkipDir
		}
		if s.tree.files >= treeFiles && s.tree.bytes >= treeBytes {
			return filepath.SkipAll
		}
		if !strings.Contains(entry.Name(), "@") {
			return nil
		}
		relative, err := filepath.Rel(cache, path)
		if err == nil {
			err = s.copyIn(ctx, path, filepath.Join("modules", relative), moduleFiles)
		}
		if err != nil {
			return err
		}
		return filepath.SkipDir
	})
	if err == nil && s.tree.files < treeFiles {
		err = fmt.Errorf("bench: toolchain and module cache have only %d files of %d: run `go mod download` first", s.tree.files, treeFiles)
	}
	return err
}

// copyIn copies a directory into the tree and counts what it holds. One with more files than most is left out.
func (s *suite) copyIn(ctx context.Context, from, to string, most int) error {
	held := tree{}
	err := s.eachFile(from, func(_ string, info fs.FileInfo) error {
		held.files++
		held.bytes += info.Size()
		return nil
	})
	if err != nil || held.files > most {
		return err
	}
	to = filepath.Join(s.treeDir(), to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for _, command := range [][]string{{"cp", "-a", from, to}, {"chmod", "-R", "u+w", to}} { // the cache's directories are read-only
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("bench: %s %s: %w: %s", command[0], from, err, out)
		}
	}
	s.tree.files += held.files
	s.tree.bytes += held.bytes
	return nil
}

func (s *suite) eachFile(root string, do func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			err = do(path, info)
		}
		return err
	})
}

// changeTree appends a line to one file in a hundred, others in each round, spread over the tree.
func (s *suite) changeTree(_ context.Context, round int) error {
	n := 0
	return s.eachFile(s.treeDir(), func(path string, _ fs.FileInfo) error {
		if n++; n%100 != round%100 {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		_, err = fmt.Fprintf(f, "// changed in round %d\n", round)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

// treeJob makes a backup job of the tree whose storage is removed when the case ends.
func (s *suite) treeJob(ctx context.Context, options domain.BackupOptions) (*platform.Job, error) {
	job, err := s.platform.FilesJob(ctx, s.fresh("tree"), s.treeDir(), options)
	if err == nil {
		s.trash = append(s.trash, job.Dir())
	}
	return job, err
}
