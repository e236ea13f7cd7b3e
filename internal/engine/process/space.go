package process

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// RequireSpace refuses a directory below the temporary one in which needed bytes are not free. Errors: failure.StorageFull, and
// those of TempFailure.
func RequireSpace(dir string, needed int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return TempFailure(fmt.Errorf("look for space in %s: %w", dir, err))
	}
	if free := int64(stat.Bavail) * stat.Bsize; free < needed { //nolint:gosec // a disk's size fits
		return failure.New(failure.StorageFull, "look for space in "+dir, fmt.Sprintf("%d bytes are needed, of which %d are free", needed, free),
			fmt.Sprintf("Free space there, or set the worker's TMPDIR to a directory on a disk with more than %d free bytes.", needed))
	}
	return nil
}
