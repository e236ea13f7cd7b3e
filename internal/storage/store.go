// Package storage is where backup objects live. Store is the contract every backend keeps; the
// backends are children of this package, one explicit list opens them (open.go), and one
// conformance suite (storagetest) checks them all.
package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrNotFound is what errors.Is finds when an object does not exist.
var ErrNotFound = errors.New("object not found")

// ErrFull is what errors.Is finds when there is no space left or a quota is reached.
var ErrFull = errors.New("storage is full")

// ErrBody is what errors.Is finds when the body of a Put ended early: the caller's fault, which
// trying again does not mend.
var ErrBody = errors.New("the body ended")

// Object describes one stored object.
type Object struct {
	Key     string
	Size    int64 // bytes
	ModTime time.Time
}

// Usage is what a location holds, what is free, and how large it is with everything on it, in bytes.
// A negative number is unknown.
type Usage struct {
	Used      int64
	Available int64
	Capacity  int64
}

// A location with less free than minFree or minFreePercent of its capacity is full: what is left will
// not hold a backup. Of a small one, a quota of 500 MB for example, minFree would be more than it ever
// has; there smallFreePercent counts instead.
const (
	minFree          = 1 << 30 // bytes
	minFreePercent   = 5
	smallFreePercent = 10
)

// Full reports whether too little is free to go on. What is unknown is not too little.
func (u Usage) Full() bool {
	switch {
	case u.Available < 0:
		return false
	case u.Capacity <= 0:
		return u.Available < minFree
	default:
		percent := float64(u.Capacity) / 100
		return float64(u.Available) < max(minFreePercent*percent, min(minFree, smallFreePercent*percent))
	}
}

// Store keeps objects under keys: slash-separated relative paths, each element non-empty and not
// "." or "..". A key outside these rules is refused by every method with failure.ConfigInvalid,
// and no method ever touches anything outside the store's root.
//
// Every method is safe for concurrent use, honours its context, and returns errors classified by
// package failure (NotFound wraps ErrNotFound, StorageFull wraps ErrFull).
type Store interface {
	// Put stores size bytes of body under key, replacing what was there. It is atomic: a reader
	// sees the old object or the whole new one, and after an error or a cancelled context there
	// is neither the new object nor a leftover. A body that ends early or is longer is an error.
	// It is read from where it stands, never closed, and not touched once Put returned, whatever
	// Put returned: the caller uses its memory again.
	// The object survives a crash of the machine only after Sync returned.
	Put(ctx context.Context, key string, body io.Reader, size int64) error

	// Get reads length bytes from offset; a negative length reads to the end. The caller closes
	// the reader. A missing object is an error here, not at the first Read. A range that starts
	// beyond the end is an error; one that reaches beyond it is cut.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)

	// Stat describes an object.
	Stat(ctx context.Context, key string) (Object, error)

	// List calls fn for every object whose key starts with prefix, in ascending byte order of the
	// keys, until fn returns an error, which List then returns. A prefix that nothing has is an
	// empty list. Uploads in flight are not listed.
	List(ctx context.Context, prefix string, fn func(Object) error) error

	// Delete removes an object. Deleting what is not there is no error.
	Delete(ctx context.Context, key string) error

	// Copy makes to hold what from holds, atomically as Put does. Copying an object onto itself
	// changes nothing, but makes it count as put by this store, whoever put it.
	Copy(ctx context.Context, from, to string) error

	// Usage reports what is used and what is free.
	Usage(ctx context.Context) (Usage, error)

	// Sync returns when every Put, Copy and Delete of this store that returned before it was called
	// survives a crash of the machine. After an error what was put may be lost, however often Sync is
	// called again.
	Sync(ctx context.Context) error

	// Close frees connections. Nothing may be called after it.
	Close() error
}
