package postgres_test

import "golang.org/x/sys/unix"

// allocated is how many bytes of disk a file takes.
func allocated(path string) int64 {
	var stat unix.Stat_t
	if unix.Lstat(path, &stat) != nil {
		return 0
	}
	return stat.Blocks * 512
}
