package archive

import (
	"encoding/hex"
	"fmt"

	"github.com/zeebo/blake3"
)

// keys are what a generation's secret is used for, one key for each purpose.
type keys struct {
	id       [32]byte // chunk ids
	boundary [32]byte // FastCDC's gear table
	manifest [32]byte // MAC of a manifest
}

// The contexts of BLAKE3's key derivation. They are part of the format.
const (
	contextID       = "dataguardian v1 chunk id"
	contextBoundary = "dataguardian v1 chunk boundaries"
	contextManifest = "dataguardian v1 manifest"
)

func deriveKeys(secret [32]byte) keys {
	var k keys
	blake3.DeriveKey(contextID, secret[:], k.id[:])
	blake3.DeriveKey(contextBoundary, secret[:], k.boundary[:])
	blake3.DeriveKey(contextManifest, secret[:], k.manifest[:])
	return k
}

// newHash returns BLAKE3-256 keyed with key.
func newHash(key [32]byte) *blake3.Hasher {
	hasher, err := blake3.NewKeyed(key[:])
	if err != nil { // only for a key that is not 32 bytes long
		panic(err)
	}
	return hasher
}

func sum(h *blake3.Hasher) (out [32]byte) {
	h.Sum(out[:0])
	return out
}

// parseHash reads 32 bytes of lower-case hexadecimal.
func parseHash(text string) (out [32]byte, err error) {
	if len(text) != 64 {
		return out, fmt.Errorf("%.80q is not 64 hexadecimal digits", text)
	}
	_, err = hex.Decode(out[:], []byte(text))
	return out, err
}
