package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// CommitResult is a finished backup.
type CommitResult struct {
	ManifestSHA256 string // hexadecimal, of the whole document
	ManifestBytes  int64
	Manifest       *Manifest
}

// Commit makes every chunk durable, reports the rest to OnStored, and writes the manifest at
// manifestKey, durably. Only when it returned nil does the backup exist. A zero FinishedAt is now.
func (w *Writer) Commit(ctx context.Context, header Header, manifestKey string) (CommitResult, error) {
	const op = "commit backup"
	if err := w.canCommit(manifestKey); err != nil {
		return CommitResult{}, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	result, err := w.commit(ctx, header, manifestKey)
	if err != nil {
		return CommitResult{}, w.fail(wrap(op, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	return result, nil
}

func (w *Writer) commit(ctx context.Context, header Header, manifestKey string) (CommitResult, error) {
	if err := w.report(ctx); err != nil {
		return CommitResult{}, err
	}
	if header.FinishedAt.IsZero() {
		header.FinishedAt = time.Now()
	}
	manifest, err := w.manifest(header)
	if err != nil {
		return CommitResult{}, err
	}
	return w.putManifest(ctx, manifest, manifestKey)
}

func (w *Writer) canCommit(manifestKey string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	switch {
	case w.writing > 0:
		return fmt.Errorf("%d streams are still being written", w.writing)
	case len(w.streams) == 0:
		return errors.New("the backup has no stream")
	}
	return storage.CheckKey("check manifest key", manifestKey)
}

// manifest builds the document. Objects were numbered as workers came to them; they are numbered
// again in the order of first use, so that the same backup gives the same manifest.
func (w *Writer) manifest(header Header) (*Manifest, error) {
	secret, err := sealSecret(w.opts.Secret, w.opts.Recipients)
	if err != nil {
		return nil, err
	}
	header.StartedAt, header.FinishedAt = wholeMillis(header.StartedAt), wholeMillis(header.FinishedAt)
	m := &Manifest{
		Header: header, Generation: w.opts.Generation, Parent: w.opts.Parent, Params: w.opts.Params,
		Compression: w.opts.Compression, CompressionLevel: w.opts.Level, Recipients: RecipientNames(w.opts.Recipients),
		Objects: make([]Object, 0, len(w.objects)), secret: secret,
	}
	folders := map[string]uint16{}
	const unused = ^uint32(0)
	renumbered := make([]uint32, len(w.objects))
	for i := range renumbered {
		renumbered[i] = unused
	}
	for _, s := range w.streams {
		chunks := make([]uint32, len(s.Chunks))
		for i, old := range s.Chunks {
			if renumbered[old] == unused {
				renumbered[old] = uint32(len(m.Objects))
				m.Objects = append(m.Objects, w.manifestObject(m, folders, w.objects[old]))
			}
			chunks[i] = renumbered[old]
		}
		s.Chunks = chunks
		m.Streams = append(m.Streams, s)
	}
	return m, m.check()
}

// manifestObject is a stored chunk as the manifest lists it; its directory is added where it is new.
func (w *Writer) manifestObject(m *Manifest, folders map[string]uint16, c StoredChunk) Object {
	directory, ok := folders[c.Folder]
	if !ok {
		directory = uint16(len(m.directories)) // one for each attempt: some dozens at most
		folders[c.Folder] = directory
		m.directories = append(m.directories, ChunkDir(w.opts.DatasourceDir, c.Folder))
	}
	c.Folder = ""
	return Object{StoredChunk: c, encoding: w.encoding(), directory: directory}
}

// RecipientNames lists recipients as people, and Manifest.Recipients, write them.
func RecipientNames(recipients []age.Recipient) []string {
	names := make([]string, len(recipients))
	for i, r := range recipients {
		if named, ok := r.(fmt.Stringer); ok {
			names[i] = named.String()
		} else {
			names[i] = fmt.Sprintf("%T", r)
		}
	}
	return names
}

// putManifest generates the document twice: once to learn its size and hash, once to store it.
func (w *Writer) putManifest(ctx context.Context, m *Manifest, key string) (CommitResult, error) {
	hasher, size := newDocumentHasher(), int64(0)
	for piece, err := range m.pieces(w.keys.manifest) {
		if err != nil {
			return CommitResult{}, err
		}
		_, _ = hasher.Write(piece) // a hash takes everything
		size += int64(len(piece))
	}
	m.bodyHash = [32]byte(hasher.body.Sum(nil))
	m.mac = manifestMAC(w.keys.manifest, m.bodyHash)
	content := &manifestBody{manifest: m, key: w.keys.manifest}
	defer content.close()
	if err := w.opts.Store.Put(ctx, key, content, size); err != nil {
		return CommitResult{}, fmt.Errorf("store manifest: %w", err)
	}
	if err := w.opts.Store.Sync(ctx); err != nil {
		return CommitResult{}, fmt.Errorf("make manifest durable: %w", err)
	}
	return CommitResult{ManifestSHA256: hex.EncodeToString(hasher.whole.Sum(nil)), ManifestBytes: size, Manifest: m}, nil
}
