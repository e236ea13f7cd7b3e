package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const corruptObjectHint = "The storage location lost or changed this object. Restore it from a copy of the location, or use another backup."

// opener fetches and decodes chunks, one at a time, and checks all that the manifest says of them.
type opener struct {
	r      *Reader
	codec  decompressors
	hasher *chunkHasher
	object []byte // the object that is being decoded
}

func newOpener(r *Reader) *opener { return &opener{r: r, hasher: newChunkHasher(r.keys.id)} }

func (o *opener) close() { o.codec.close() }

// fetch writes the plaintext of an object to out, which has its recorded length. After an error out
// holds anything.
func (o *opener) fetch(ctx context.Context, index int, out []byte) error {
	object := o.r.manifest.Objects[index]
	key := o.r.manifest.ObjectKey(index)
	if err := o.read(ctx, key, object); err != nil {
		return err
	}
	if err := decoding.enter(ctx); err != nil {
		return err
	}
	defer decoding.leave()
	// First whether the object is what was stored, so that only what we made is decoded.
	if sha256.Sum256(o.object) != object.Checksum {
		return corruptObject(key, errChecksum)
	}
	if err := o.decode(object.encoding, out); err != nil {
		return corruptObject(key, err)
	}
	if o.hasher.id(out) != object.ID {
		return corruptObject(key, errors.New("its content is that of another chunk"))
	}
	return nil
}

// read reads an object whole.
func (o *opener) read(ctx context.Context, key string, object Object) error {
	content, err := o.r.store.Get(ctx, key, 0, -1)
	if err != nil {
		return missingObject(err)
	}
	defer content.Close()
	size := int(object.StoredBytes)
	o.object = slices.Grow(o.object[:0], size+1)[:size+1]
	n, err := io.ReadFull(content, o.object) // one byte more than it should have
	o.object = o.object[:n]
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return corruptObject(key, wrap("read object", err))
	}
	return corruptObject(key, checkLength(int64(n), object.StoredBytes))
}

// decode decrypts and decompresses the object into out.
func (o *opener) decode(e encoding, out []byte) error {
	frame := o.object
	if e.encrypted {
		var err error
		if frame, err = decryptInPlace(o.object, o.r.identities); err != nil {
			return classifyDecrypt(err)
		}
	}
	if err := o.codec.decode(e.compression, frame, out); err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	return nil
}

var errChecksum = errors.New("its SHA-256 is not the one in the manifest")

// checkLength compares the length of an object with the recorded one. One byte more than recorded
// stands for any number.
func checkLength(got, want int64) error {
	switch {
	case got > want:
		return fmt.Errorf("it is longer than the %d bytes that the manifest says", want)
	case got < want:
		return fmt.Errorf("it is %d bytes long, the manifest says %d", got, want)
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
	if r.err != nil {
		return wrap("read object", r.err)
	}
	if err := checkLength(r.got, r.want); err != nil {
		return err
	}
	if [32]byte(r.hasher.Sum(nil)) != want {
		return errChecksum
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
