package db

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// envelopePrefix begins every sealed value: dgs1:<key id>:<base64url(nonce || ciphertext)>.
const envelopePrefix = "dgs1:"

// sealer seals and opens secrets with AES-256-GCM.
type sealer struct {
	keyID    string
	aead     cipher.AEAD
	transfer [TransferKeyBytes]byte // see TransferKey
}

// place is where a sealed value lives. It is authenticated with the value, so that a value copied
// to another row or field does not open there.
type place struct{ table, rowID, field string }

func (p place) aad() []byte { return []byte(p.table + "\x00" + p.rowID + "\x00" + p.field) }

func newSealer(key MasterKey) sealer {
	block, err := aes.NewCipher(key.derive("dataguardian/v1/seal"))
	if err != nil {
		panic(err) // only a wrong key length can fail
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only a cipher of another block size can fail
	}
	return sealer{keyID: key.ID(), aead: aead, transfer: [TransferKeyBytes]byte(key.derive("dataguardian/v1/transfer"))}
}

// seal turns a secret into its envelope; "" stays "", it is no secret.
func (s sealer) seal(at place, secret string) (string, error) {
	if secret == "" {
		return "", nil
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(secret)+s.aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return "", failure.Wrap(failure.Unknown, "seal "+at.field, err, "")
	}
	sealed := s.aead.Seal(nonce, nonce, []byte(secret), at.aad())
	return envelopePrefix + s.keyID + ":" + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open turns an envelope back into its secret. ErrWrongMasterKey when it is sealed under another
// key; class Corrupt when it was changed or moved.
func (s sealer) open(at place, envelope string) (string, error) {
	if envelope == "" {
		return "", nil
	}
	op := fmt.Sprintf("open the sealed %s of %s %s", at.field, at.table, at.rowID)
	keyID, err := envelopeKeyID(envelope)
	if err != nil {
		return "", failure.Wrap(failure.Corrupt, op, err, "Save the secret again.")
	}
	if keyID != s.keyID {
		return "", wrongKey(op, keyID, s.keyID)
	}
	raw, err := base64.RawURLEncoding.DecodeString(envelope[len(envelopePrefix)+len(keyID)+1:])
	if err != nil || len(raw) < s.aead.NonceSize() {
		return "", failure.New(failure.Corrupt, op, "the envelope is damaged", "Save the secret again.")
	}
	secret, err := s.aead.Open(nil, raw[:s.aead.NonceSize()], raw[s.aead.NonceSize():], at.aad())
	if err != nil {
		return "", failure.New(failure.Corrupt, op, "it was changed, or moved here from another row or field", "Save the secret again.")
	}
	return string(secret), nil
}

func envelopeKeyID(envelope string) (string, error) {
	rest, ok := strings.CutPrefix(envelope, envelopePrefix)
	keyID, _, found := strings.Cut(rest, ":")
	if !ok || !found {
		return "", fmt.Errorf("it is not a sealed value (%s<key id>:…)", envelopePrefix)
	}
	return keyID, nil
}

func wrongKey(op, sealedUnder, have string) error {
	return failure.Wrap(failure.ConfigInvalid, op,
		fmt.Errorf("%w: the secrets are sealed under key %s, this process has key %s", ErrWrongMasterKey, sealedUnder, have),
		"Give the master key whose id is "+sealedUnder+"; without it the stored secrets can not be read.")
}
