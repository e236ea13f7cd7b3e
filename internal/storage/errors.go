package storage

import (
	"fmt"
	"io"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// FullHint tells the operator what to do about a location without space.
const FullHint = "Free space on the storage location, raise its quota (of a local one: max_size_gb), or choose another location."

// NotFoundError is what a backend returns for an object that is not there.
func NotFoundError(op, key string) error {
	return failure.Wrap(failure.NotFound, op, fmt.Errorf("%s: %w", shorten(key), ErrNotFound), "")
}

// FullError is what a backend returns when it has no space; detail says how it knows.
func FullError(op, key, detail string) error {
	return failure.Wrap(failure.StorageFull, op, fmt.Errorf("%s: %w: %s", shorten(key), ErrFull, detail), FullHint)
}

// BodyError is what Put returns for a body of the wrong length: got is what came, which is
// size+1 or more for one that is too long.
func BodyError(op, key string, got, size int64) error {
	if got < size {
		return failure.Wrap(failure.Unknown, op,
			fmt.Errorf("%s: %w after %d of %d bytes: %w", shorten(key), ErrBody, got, size, io.ErrUnexpectedEOF), "")
	}
	return failure.New(failure.ConfigInvalid, op,
		fmt.Sprintf("%s: the body is longer than the %d bytes announced", shorten(key), size), "")
}

// CheckSize refuses a negative size, which no body has.
func CheckSize(op, key string, size int64) error {
	if size < 0 {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%s: size %d is negative", shorten(key), size), "")
	}
	return nil
}

// CheckRange cuts the range [offset, offset+length) to an object of size bytes (a negative length
// reads to the end) and returns how many bytes it holds. A range that starts beyond the end is
// Corrupt: the object is shorter than what wrote the range believed.
func CheckRange(op, key string, offset, length, size int64) (int64, error) {
	switch {
	case offset < 0:
		return 0, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%s: offset %d is negative", shorten(key), offset), "")
	case offset > size:
		return 0, failure.New(failure.Corrupt, op,
			fmt.Sprintf("%s: offset %d is beyond the end of the object (%d bytes)", shorten(key), offset, size), "")
	case length < 0 || length > size-offset:
		return size - offset, nil
	default:
		return length, nil
	}
}
