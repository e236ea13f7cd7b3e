package archive

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// The payload of an age file (C2SP age-encryption, STREAM): a nonce, then pieces of the plaintext, each
// encrypted under the payload key with its number, the last one marked. age itself copies every piece three
// times and makes the collector clear away as much as is read; of an object, which is in memory as a whole,
// the pieces are opened where they lie. Header, file key and the header's MAC stay age's.
const (
	payloadNonce = 16
	payloadPiece = 64 * kib
	sealedPiece  = payloadPiece + chacha20poly1305.Overhead
	payloadLabel = "payload"
)

var (
	errNoPayload = errors.New("it ends within the header of its encryption")
	errPiece     = errors.New("a piece of it is damaged, missing or was changed: it does not decrypt")
)

// decryptInPlace replaces an age file by its plaintext and returns that part of object. After an error object
// holds anything.
func decryptInPlace(object []byte, identities []age.Identity) ([]byte, error) {
	fileKey, err := age.DecryptHeader(object, identities...)
	if err != nil {
		return nil, err
	}
	payload, err := payloadOf(object)
	if err != nil {
		return nil, err
	}
	aead, err := payloadCipher(fileKey, payload[:payloadNonce])
	if err != nil {
		return nil, err
	}
	return openPieces(aead, object, payload[payloadNonce:])
}

// payloadOf is what follows the header, at least a nonce. The line of the header's MAC is the first that
// begins with three dashes: all before it are the version, stanzas and base64.
func payloadOf(object []byte) ([]byte, error) {
	_, mac, found := bytes.Cut(object, []byte("\n--- "))
	_, payload, ends := bytes.Cut(mac, []byte("\n"))
	if !found || !ends || len(payload) < payloadNonce {
		return nil, errNoPayload
	}
	return payload, nil
}

func payloadCipher(fileKey, nonce []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, fileKey, nonce, payloadLabel, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(key)
}

// openPieces decrypts the pieces, each where it lies, and moves its plaintext to the end of what out has of
// the pieces before. They lie behind the beginning of out.
func openPieces(aead cipher.AEAD, out, pieces []byte) ([]byte, error) {
	if len(pieces) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	n := 0
	for number := uint64(0); len(pieces) > 0; number++ {
		piece := pieces[:min(len(pieces), sealedPiece)]
		pieces = pieces[len(piece):]
		// Only of an empty file the last piece is empty.
		if number > 0 && len(piece) <= chacha20poly1305.Overhead {
			return nil, errPiece
		}
		plaintext, err := aead.Open(piece[:0], pieceNonce(number, len(pieces) == 0), piece, nil)
		if err != nil {
			return nil, errPiece
		}
		n += copy(out[n:], plaintext)
	}
	return out[:n], nil
}

// pieceNonce is the number of a piece in eleven bytes, the highest first, and whether it is the last one.
func pieceNonce(number uint64, last bool) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(nonce[3:], number)
	if last {
		nonce[chacha20poly1305.NonceSize-1] = 1
	}
	return nonce
}
