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
	object, key := m.Objects[index], m.ObjectKey(index)
	if err := copyChecked(ctx, from, to, key, key, object.StoredBytes, object.Checksum); err != nil {
		return wrap("heal object "+key, err)
	}
	return wrap("read back healed object", checkObject(ctx, to, m, index, make([]byte, 128*kib)))
}

// HealManifest writes a manifest anew from a copy of it. wantSHA256 (hexadecimal) is the recorded
// hash. Errors as HealObject.
func HealManifest(ctx context.Context, from storage.Store, fromKey string, to storage.Store, toKey, wantSHA256 string) error {
	op := "heal manifest " + toKey
	want, err := parseHash(wantSHA256)
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, op, fmt.Errorf("the recorded SHA-256: %w", err), "")
	}
	copied, err := from.Stat(ctx, fromKey)
	if err != nil {
		return wrap(op, err)
	}
	if err := copyChecked(ctx, from, to, fromKey, toKey, copied.Size, want); err != nil {
		return wrap(op, err)
	}
	_, err = OpenManifest(ctx, to, toKey, wantSHA256)
	return wrap("read back healed manifest", err)
}

func copyChecked(ctx context.Context, from, to storage.Store, fromKey, toKey string, size int64, want [32]byte) error {
	content, err := from.Get(ctx, fromKey, 0, -1)
	if err != nil {
		return err
	}
	defer content.Close()
	body := &checkedReader{r: content, hasher: sha256.New(), left: size, want: want}
	if err := to.Put(ctx, toKey, body, size); err != nil {
		if body.err != nil {
			return failure.Wrap(failure.Corrupt, "read the copy", body.err, "")
		}
		return err
	}
	return to.Sync(ctx)
}

// checkedReader gives the last bytes of a body only when the whole of it is the expected one, so
// that a Put of anything else ends in an error and stores nothing.
type checkedReader struct {
	r      io.Reader
	hasher hash.Hash
	left   int64
	want   [32]byte
	err    error // what is wrong with the content
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
	return n, err
}
