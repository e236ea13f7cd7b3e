package dataport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
)

// KeyBytes is the length of a Key.
const KeyBytes = 32

// Key is what API and workers have in common: derived from the master key, for this purpose only.
type Key [KeyBytes]byte

// String keeps the key out of logs and messages.
func (Key) String() string { return "********" }

// GoString is String for %#v.
func (k Key) GoString() string { return k.String() }

func (k Key) derive(purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, k[:], nil, purpose, KeyBytes)
	if err != nil {
		panic(err) // only a longer output than HKDF has can fail
	}
	return derived
}

func (k Key) tickets() cipher.AEAD {
	block, err := aes.NewCipher(k.derive("dataguardian/v1/dataport/ticket"))
	if err != nil {
		panic(err) // only a wrong key length can fail
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only a cipher of another block size can fail
	}
	return aead
}

// Offer is where a worker's port is: what the API needs to ask it. It is no secret, and no right to
// anything.
type Offer struct {
	URL         string `json:"url"`         // https://host:port
	Certificate []byte `json:"certificate"` // SHA-256 of the certificate that the port shows
	MAC         []byte `json:"mac"`         // by a holder of the key
}

// ErrOffer is the error of an Offer that no holder of the key has made.
var ErrOffer = errors.New("the worker's offer is not from a holder of this master key")

func (k Key) sign(o Offer) []byte {
	mac := hmac.New(sha256.New, k.derive("dataguardian/v1/dataport/offer"))
	mac.Write(o.Certificate)
	mac.Write([]byte(o.URL))
	return mac.Sum(nil)
}

func (k Key) check(o Offer) error {
	if len(o.Certificate) != sha256.Size || !hmac.Equal(o.MAC, k.sign(o)) {
		return ErrOffer
	}
	return nil
}
