package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// KnownChunks are chunks that a backup need not store again. Fill it with Add and AddManifest, then
// call Confirm once, which keeps those that are really there. It holds some 80 bytes a chunk. Nil
// knows nothing.
type KnownChunks struct {
	folders []string
	chunks  []knownChunk // after Confirm: each id once, in order
}

// knownChunk is a StoredChunk in little memory. No chunk is longer than maxChunk.
type knownChunk struct {
	id            ChunkID
	checksum      [32]byte
	plain, stored uint32
	folder        uint16
	there         bool
}

// Len is how many chunks are known.
func (k *KnownChunks) Len() int {
	if k == nil {
		return 0
	}
	return len(k.chunks)
}

// Add notes chunks of a datasource's directory. Of two with the same id that are both there, the one
// that was added first is used.
func (k *KnownChunks) Add(chunks ...StoredChunk) error {
	for _, c := range chunks {
		if c.PlainBytes < 1 || c.PlainBytes > maxChunk || c.StoredBytes < 1 || c.StoredBytes > int64(maxStored(maxChunk)) {
			return fmt.Errorf("chunk %s of %d bytes, %d stored: no chunk has such a size", c.ID, c.PlainBytes, c.StoredBytes)
		}
		folder, err := k.folder(c.Folder)
		if err != nil {
			return err
		}
		k.chunks = append(k.chunks, knownChunk{
			id: c.ID, checksum: c.Checksum, plain: uint32(c.PlainBytes), stored: uint32(c.StoredBytes), folder: folder,
		})
	}
	return nil
}

func (k *KnownChunks) folder(name string) (uint16, error) {
	if i := slices.Index(k.folders, name); i >= 0 {
		return uint16(i), nil
	}
	if len(k.folders) == 1<<16 {
		return 0, errors.New("the chunks are in too many folders")
	}
	k.folders = append(k.folders, name)
	return uint16(len(k.folders) - 1), nil
}

// AddManifest notes the chunks of a backup, but for any that are outside datasourceDir.
func (k *KnownChunks) AddManifest(m *Manifest, datasourceDir string) error {
	k.chunks = slices.Grow(k.chunks, len(m.Objects))
	for i, o := range m.Objects {
		if path.Dir(path.Dir(m.directories[o.directory])) != datasourceDir {
			continue
		}
		c := o.StoredChunk
		c.Folder = m.Folder(i)
		if err := k.Add(c); err != nil {
			return err
		}
	}
	return nil
}

// Confirm lists every folder of the known chunks once and forgets the chunks of which there is no
// object with the recorded size, stored the way that a backup with this compression and encryption
// stores: a record may be older than the storage is true to it.
func (k *KnownChunks) Confirm(ctx context.Context, store storage.Store, datasourceDir string, compression domain.Compression, encrypted bool) error {
	k.sort()
	want := encoding{compression: compression, encrypted: encrypted}
	for i, folder := range k.folders {
		prefix := ChunkDir(datasourceDir, folder) + "/"
		err := store.List(ctx, prefix, func(o storage.Object) error {
			if id, e, err := parseChunkPath(o.Key[len(prefix):]); err == nil && e == want {
				k.found(id, uint16(i), o.Size)
			}
			return nil
		})
		if err != nil {
			return wrap("look for chunks that are stored already", err)
		}
	}
	k.chunks = slices.DeleteFunc(k.chunks, func(c knownChunk) bool { return !c.there })
	k.chunks = slices.CompactFunc(k.chunks, func(a, b knownChunk) bool { return a.id == b.id })
	k.chunks = slices.Clip(k.chunks)
	return nil
}

// sort keeps the order of those with the same id.
func (k *KnownChunks) sort() {
	slices.SortStableFunc(k.chunks, func(a, b knownChunk) int { return bytes.Compare(a.id[:], b.id[:]) })
}

// found notes that a folder has an object of a chunk.
func (k *KnownChunks) found(id ChunkID, folder uint16, size int64) {
	for i := k.first(id); i < len(k.chunks) && k.chunks[i].id == id; i++ {
		if c := &k.chunks[i]; c.folder == folder && int64(c.stored) == size {
			c.there = true
		}
	}
}

// first is where the chunk is, or would be.
func (k *KnownChunks) first(id ChunkID) int {
	i, _ := slices.BinarySearchFunc(k.chunks, id, func(c knownChunk, id ChunkID) int { return bytes.Compare(c.id[:], id[:]) })
	return i
}

// get looks a chunk up, after Confirm.
func (k *KnownChunks) get(id ChunkID) (StoredChunk, bool) {
	if k == nil {
		return StoredChunk{}, false
	}
	i := k.first(id)
	if i == len(k.chunks) || k.chunks[i].id != id {
		return StoredChunk{}, false
	}
	c := k.chunks[i]
	return StoredChunk{
		Folder: k.folders[c.folder], ID: c.id, PlainBytes: int64(c.plain), StoredBytes: int64(c.stored), Checksum: c.checksum,
	}, true
}
