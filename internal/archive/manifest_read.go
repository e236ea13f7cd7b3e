package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// The most that a manifest may hold; what is beyond is refused before it fills the memory.
const (
	maxManifestBytes = 4 * gib
	maxObjects       = 16 << 20
	maxStreamChunks  = 64 << 20
	maxStreams       = 1 << 16
)

const corruptManifestHint = "The manifest was changed after it was written. Restore it from a copy of the storage location, or use another backup."

// OpenManifest reads the manifest at key. With wantSHA256 (hexadecimal, "" for none) the document's
// hash must be that. Errors: NotFound; Unsupported for a format version this program does not know;
// Corrupt for anything that Writer did not write. The MAC of an encrypted backup can only be checked
// with an identity: NewReader and Unseal do it, and fill in the properties of its streams.
func OpenManifest(ctx context.Context, store storage.Store, key, wantSHA256 string) (*Manifest, error) {
	m, _, err := openManifest(ctx, store, key, wantSHA256)
	return m, err
}

// FindManifest reads the manifest at key, of which nothing is recorded, and returns its SHA-256 in
// hexadecimal besides. Errors as OpenManifest.
func FindManifest(ctx context.Context, store storage.Store, key string) (m *Manifest, sha256 string, err error) {
	return openManifest(ctx, store, key, "")
}

func openManifest(ctx context.Context, store storage.Store, key, wantSHA256 string) (*Manifest, string, error) {
	const op = "open manifest"
	body, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, "", wrap(op, err)
	}
	defer body.Close()
	source := &sourceReader{r: body}
	m, digest, err := parseManifest(source)
	if source.err != nil {
		return nil, "", wrap(op+" "+key, source.err)
	}
	got := hex.EncodeToString(digest[:])
	if class := failure.ClassOf(err); err != nil && class == failure.Unsupported {
		return nil, "", failure.Wrap(class, op+" "+key, err, "")
	}
	if err == nil && wantSHA256 != "" && got != wantSHA256 {
		err = fmt.Errorf("its SHA-256 is %s, recorded is %s", got, wantSHA256)
	}
	if err == nil && !m.Encrypted() {
		_, err = m.openSecret(nil)
	}
	if err != nil {
		return nil, "", failure.Wrap(failure.Corrupt, op+" "+key, err, corruptManifestHint)
	}
	return m, got, nil
}

// sourceReader remembers an error of the storage, to tell it from an error in the document.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// parseManifest reads and checks a document, and returns its SHA-256 besides. The document is
// decoded as it comes; only the lists are held.
func parseManifest(r io.Reader) (*Manifest, [32]byte, error) {
	hasher := newDocumentHasher()
	decoder := json.NewDecoder(io.TeeReader(io.LimitReader(r, maxManifestBytes), hasher))
	p := manifestParser{decoder: decoder, manifest: new(Manifest)}
	err := p.parse()
	if err == nil {
		if _, end := decoder.Token(); end != io.EOF {
			err = errors.New("there is something behind the document")
		}
	}
	if err != nil {
		return nil, [32]byte{}, err
	}
	p.manifest.bodyHash = [32]byte(hasher.body.Sum(nil))
	tail := fmt.Appendf(nil, macTail, p.manifest.mac)
	if !bytes.Equal(hasher.held, tail) {
		return nil, [32]byte{}, errors.New("it does not end in its mac")
	}
	if err := p.manifest.check(); err != nil {
		return nil, [32]byte{}, err
	}
	return p.manifest, [32]byte(hasher.whole.Sum(nil)), nil
}

// documentHasher hashes a document, and separately all of it but its tail, which it holds.
type documentHasher struct {
	whole, body hash.Hash
	held        []byte
}

func newDocumentHasher() *documentHasher {
	return &documentHasher{whole: sha256.New(), body: sha256.New()}
}

func (h *documentHasher) Write(p []byte) (int, error) {
	h.whole.Write(p)
	h.held = append(h.held, p...)
	if n := len(h.held) - macTailLength; n > 0 {
		h.body.Write(h.held[:n])
		h.held = append(h.held[:0], h.held[n:]...)
	}
	return len(p), nil
}
