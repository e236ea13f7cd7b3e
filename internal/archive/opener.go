package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const corruptObjectHint = "The storage location lost or changed this object. Restore it from a copy of the location, or use another backup."

// opener fetches and decodes chunks, one at a time, and checks all that the manifest says of them.
type opener struct {
	r     *Reader
	codec decompressors
	spare []byte
}

func newOpener(r *Reader) *opener { return &opener{r: r, spare: make([]byte, 64*kib)} }

func (o *opener) close() { o.codec.close() }

// fetch writes the plaintext of an object to out, which is limited to its recorded length: an
// object that decompresses to more is refused before it is in memory. After an error out holds
// anything.
func (o *opener) fetch(ctx context.Context, index int, out *buffer) error {
	object := o.r.manifest.Objects[index]
	key := o.r.manifest.ObjectKey(index)
	content, err := o.r.store.Get(ctx, key, 0, -1)
	if err != nil {
		return missingObject(err)
	}
	defer content.Close()
	source := newObjectReader(content, object.StoredBytes)
	decodeErr := o.decode(object.encoding, source, out)
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	// First whether the object is what was stored: that explains whatever decoding it met.
	if err := source.check(object.Checksum, o.spare); err != nil {
		return corruptObject(key, err)
	}
	if decodeErr != nil {
		return corruptObject(key, decodeErr)
	}
	return corruptObject(key, o.checkPlaintext(object, out))
}

func (o *opener) decode(e encoding, source io.Reader, out *buffer) error {
	if e.encrypted {
		plaintext, err := age.Decrypt(source, o.r.identities...)
		if err != nil {
			return classifyDecrypt(err)
		}
		source = plaintext
	}
	plaintext, err := o.codec.open(e.compression, source)
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{plaintext}, o.spare); err != nil {
		if errors.Is(err, errTooLong) {
			err = fmt.Errorf("it holds more than the %d bytes that the manifest says", out.limit)
		}
		return fmt.Errorf("decompress: %w", err)
	}
	return nil
}

func (o *opener) checkPlaintext(object Object, out *buffer) error {
	if int64(out.size) != object.PlainBytes {
		return fmt.Errorf("it holds %d bytes, the manifest says %d", out.size, object.PlainBytes)
	}
	hasher := newHash(o.r.keys.id)
	if err := out.writeTo(hasher); err != nil {
		return err
	}
	if id := ChunkID(sum(hasher)); id != object.ID {
		return errors.New("its content is that of another chunk")
	}
	return nil
}

// objectReader reads an object, hashing it, and one byte more than it should have.
type objectReader struct {
	r      io.Reader
	hasher hash.Hash
	want   int64
	got    int64
	err    error // of the storage
}

func newObjectReader(r io.Reader, size int64) *objectReader {
	return &objectReader{r: io.LimitReader(r, size+1), hasher: sha256.New(), want: size}
}

func (r *objectReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.hasher.Write(p[:n])
	r.got += int64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// check reads what is left and compares length and SHA-256.
func (r *objectReader) check(want [32]byte, spare []byte) error {
	if r.err == nil {
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, spare) // the error is in r.err
	}
	switch {
	case r.err != nil:
		return wrap("read object", r.err)
	case r.got > r.want:
		return fmt.Errorf("it is longer than the %d bytes that the manifest says", r.want)
	case r.got < r.want:
		return fmt.Errorf("it is %d bytes long, the manifest says %d", r.got, r.want)
	case [32]byte(r.hasher.Sum(nil)) != want:
		return errors.New("its SHA-256 is not the one in the manifest")
	}
	return nil
}

// corruptObject names the object; errors of the storage and of the wrong identity keep their class.
func corruptObject(key string, err error) error {
	return failure.Wrap(failure.Corrupt, "object "+key, err, corruptObjectHint)
}

// missingObject makes an object that is not there a damage of the backup: trying again, or calling
// the backup itself "not found", would both be wrong.
func missingObject(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return &failure.Error{Class: failure.Corrupt, Op: "read object", Hint: corruptObjectHint, Cause: err}
	}
	return wrap("read object", err)
}
