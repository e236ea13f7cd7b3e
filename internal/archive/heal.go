package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// HealObject writes Objects[index] of a backup anew from another location that holds it under the
// same key. Its length and SHA-256 are compared while it is copied: what is in the way is replaced
// only by the right bytes, atomically. The object is durable, and was read back, when HealObject
// returns nil. Errors: NotFound or Corrupt when the copy is not there or damaged too.
func HealObject(ctx context.Context, from, to storage.Store, m *Manifest, index int) error {
	key := m.ObjectKey(index)
	err := copyObject(ctx, from, to, m, index)
	if err == nil {
		err = to.Sync(ctx)
	}
	if err != nil {
		return wrap("heal object "+key, err)
	}
	return wrap("read back healed object", checkObject(ctx, to, m, index, make([]byte, 128*kib)))
}

// HealManifest writes a manifest anew from a copy of it. wantSHA256 (hexadecimal) is the recorded
// hash. Errors as HealObject.
func HealManifest(ctx context.Context, from storage.Store, fromKey string, to storage.Store, toKey, wantSHA256 string) error {
	if err := CopyManifest(ctx, from, fromKey, to, toKey, wantSHA256); err != nil {
		return wrap("heal manifest", err)
	}
	_, err := OpenManifest(ctx, to, toKey, wantSHA256)
	return wrap("read back healed manifest", err)
}

// CopyManifest copies a manifest to another location, durably. wantSHA256 (hexadecimal) is the recorded
// hash: nothing else is written. Errors as CopyObjects.
func CopyManifest(ctx context.Context, from storage.Store, fromKey string, to storage.Store, toKey, wantSHA256 string) error {
	op := "copy manifest " + toKey
	want, err := parseHash(wantSHA256)
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, op, fmt.Errorf("the recorded SHA-256: %w", err), "")
	}
	found, err := from.Stat(ctx, fromKey)
	if err != nil {
		return &SourceError{wrap(op, err)}
	}
	if err := copyChecked(ctx, from, to, fromKey, toKey, found.Size, want); err != nil {
		return wrap(op, err)
	}
	return wrap(op, to.Sync(ctx))
}

func copyObject(ctx context.Context, from, to storage.Store, m *Manifest, index int) error {
	object, key := m.Objects[index], m.ObjectKey(index)
	return copyChecked(ctx, from, to, key, key, object.StoredBytes, object.Checksum)
}

// SourceError is a failure of the location that is copied from, not of the one that is written to.
type SourceError struct{ Cause error }

// Error is that of the cause.
func (e *SourceError) Error() string { return e.Cause.Error() }

// Unwrap gives the cause.
func (e *SourceError) Unwrap() error { return e.Cause }

// copyChecked streams an object from one store to the other. It is not durable before a Sync.
func copyChecked(ctx context.Context, from, to storage.Store, fromKey, toKey string, size int64, want [32]byte) error {
	content, err := from.Get(ctx, fromKey, 0, -1)
	if err != nil {
		return &SourceError{err}
	}
	defer content.Close()
	body := &checkedReader{r: content, hasher: sha256.New(), left: size, want: want}
	err = to.Put(ctx, toKey, body, size)
	switch {
	case err != nil && body.err != nil:
		return &SourceError{failure.Wrap(failure.Corrupt, "read the copy", body.err, "")}
	case err != nil && body.failed != nil:
		return &SourceError{body.failed}
	default:
		return err
	}
}

// checkedReader gives the last bytes of a body only when the whole of it is the expected one, so
// that a Put of anything else ends in an error and stores nothing.
type checkedReader struct {
	r      io.Reader
	hasher hash.Hash
	left   int64
	want   [32]byte
	err    error // what is wrong with the content
	failed error // why it could not be read
}

func (c *checkedReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.hasher.Write(p[:n])
	c.left -= int64(n)
	switch {
	case c.left < 0:
		c.err = fmt.Errorf("it is longer than it should be")
	case c.left == 0 && [32]byte(c.hasher.Sum(nil)) != c.want:
		c.err = fmt.Errorf("its SHA-256 is not the recorded %s", hex.EncodeToString(c.want[:]))
	case err == io.EOF && c.left > 0:
		c.err = fmt.Errorf("it is %d bytes too short", c.left)
	}
	if c.err != nil {
		return 0, c.err
	}
	if err != nil && err != io.EOF {
		c.failed = err
	}
	return n, err
}
