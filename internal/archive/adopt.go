package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// AdoptOptions say where lost attempts of a backup may have stored chunks, and how.
type AdoptOptions struct {
	Store         storage.Store
	DatasourceDir string
	Folders       []string // of the attempts, see FolderOf
	Secret        [32]byte // the generation's
	Longest       int      // Params.Max
	Compression   domain.Compression
	Identities    []age.Identity // empty: chunks are not encrypted
}

// Adopt finds chunks that lost attempts had stored when they died, but not reported: those of the last
// seconds. Each is read back whole and must be the chunk that its name says; what is not, and what
// is known already, is passed over. The chunks are added and returned. Call it before Confirm, and
// Sync before they are recorded: nobody has made them durable.
func (k *KnownChunks) Adopt(ctx context.Context, o AdoptOptions) ([]StoredChunk, error) {
	k.sort()
	recorded := len(k.chunks)
	var found []StoredChunk
	keys := map[ChunkID]string{}
	want := encoding{compression: o.Compression, encrypted: len(o.Identities) > 0}
	for _, folder := range o.Folders {
		prefix := ChunkDir(o.DatasourceDir, folder) + "/"
		err := o.Store.List(ctx, prefix, func(object storage.Object) error {
			id, e, err := parseChunkPath(object.Key[len(prefix):])
			possible := err == nil && e == want && object.Size > 0 && object.Size <= int64(maxStored(o.Longest))
			if i := k.first(id); possible && keys[id] == "" && (i == recorded || k.chunks[i].id != id) {
				keys[id] = object.Key
				found = append(found, StoredChunk{Folder: folder, ID: id, StoredBytes: object.Size})
			}
			return nil
		})
		if err != nil {
			return nil, wrap("look for chunks of a lost attempt", err)
		}
	}
	var adopted []StoredChunk
	for _, c := range found {
		whole, err := o.readBack(ctx, keys[c.ID], &c)
		if err != nil {
			return nil, wrap("read a chunk of a lost attempt", err)
		}
		if !whole {
			continue
		}
		if err := o.Store.Copy(ctx, keys[c.ID], keys[c.ID]); err != nil { // ours now, for Sync to make durable
			return nil, wrap("adopt a chunk of a lost attempt", err)
		}
		adopted = append(adopted, c)
	}
	return adopted, k.Add(adopted...)
}

// readBack reports whether an object holds the chunk that its name says, and fills in its checksum and
// length. An error is one of the storage.
func (o AdoptOptions) readBack(ctx context.Context, key string, c *StoredChunk) (bool, error) {
	body, err := o.Store.Get(ctx, key, 0, -1)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer body.Close()
	object, err := io.ReadAll(io.LimitReader(body, c.StoredBytes+1))
	if err != nil {
		return false, err
	}
	if int64(len(object)) != c.StoredBytes {
		return false, nil
	}
	c.Checksum = sha256.Sum256(object)
	id, plain, err := o.identify(object)
	if failure.ClassOf(err) == failure.AuthFailed {
		return false, err
	}
	c.PlainBytes = plain
	return err == nil && id == c.ID && plain > 0, nil
}

// identify decodes an object and names what is in it.
func (o AdoptOptions) identify(object []byte) (id ChunkID, plain int64, err error) {
	var content io.Reader = bytes.NewReader(object)
	if len(o.Identities) > 0 {
		if content, err = age.Decrypt(content, o.Identities...); err != nil {
			return id, 0, classifyDecrypt(err)
		}
	}
	switch o.Compression {
	case domain.CompressionZstd:
		decoder, err := zstd.NewReader(content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return id, 0, err
		}
		defer decoder.Close()
		content = decoder
	case domain.CompressionGzip:
		if content, err = gzip.NewReader(content); err != nil {
			return id, 0, err
		}
	case domain.CompressionLZ4:
		content = lz4.NewReader(content)
	}
	hasher := newHash(deriveKeys(o.Secret).id)
	plain, err = io.Copy(hasher, io.LimitReader(content, int64(o.Longest)+1))
	if err == nil && plain > int64(o.Longest) {
		err = fmt.Errorf("it holds more than %d bytes", o.Longest)
	}
	return ChunkID(sum(hasher)), plain, err
}
