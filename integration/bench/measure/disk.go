package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FlushDisk writes everything that the file system of dir still holds in memory to the disk, as
// `sync -f` does. Called before a run, it keeps one contestant from paying for another's writes.
func FlushDisk(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = opened.Close() }()
	if err := unix.Syncfs(int(opened.Fd())); err != nil {
		return fmt.Errorf("bench: flush %s: %w", dir, err)
	}
	return nil
}

// Files lists the regular files below dir with their lengths in bytes. A directory that is not
// there holds none; a file that vanishes meanwhile is not listed.
func Files(dir string) (map[string]int64, error) {
	files := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			files[path] = info.Size()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return files, nil
}

// Grown is how many bytes of files are in after and were not in before. What was deleted is not
// taken off: it was written all the same.
func Grown(before, after map[string]int64) int64 {
	var total int64
	for path, size := range after {
		total += max(0, size-before[path])
	}
	return total
}
