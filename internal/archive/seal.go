package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxStored is the most bytes an object of plain bytes takes: what does not compress grows by a few
// bytes for each block, age adds 16 for each 64 KiB and a header of some 100 to 2,000 for each
// recipient.
func maxStored(plain int) int { return plain + plain/512 + 64*kib }

// sealer names and encodes chunks, one at a time: compress, then encrypt.
type sealer struct {
	compressor compressor
	recipients []age.Recipient
	hasher     *chunkHasher
	checksum   hash.Hash
}

func newSealer(opts WriterOptions, idKey [32]byte) (*sealer, error) {
	c, err := newCompressor(opts.Compression, opts.Level, opts.Params.Max)
	if err != nil {
		return nil, err
	}
	return &sealer{compressor: c, recipients: opts.Recipients, hasher: newChunkHasher(idKey), checksum: sha256.New()}, nil
}

// seal writes the object of plaintext to out and returns the object's SHA-256.
func (s *sealer) seal(plaintext []byte, out *buffer) (checksum [32]byte, err error) {
	s.checksum.Reset()
	target := io.MultiWriter(out, s.checksum)
	if len(s.recipients) == 0 {
		err = s.compressor.compress(target, plaintext)
	} else {
		err = s.encrypt(target, plaintext)
	}
	s.checksum.Sum(checksum[:0])
	return checksum, err
}

func (s *sealer) encrypt(target io.Writer, plaintext []byte) error {
	encrypted, err := age.Encrypt(target, s.recipients...)
	if err != nil {
		return err
	}
	if err := s.compressor.compress(encrypted, plaintext); err != nil {
		return err
	}
	return encrypted.Close()
}

// sealSecret encodes a generation's secret for the manifest.
func sealSecret(secret [32]byte, recipients []age.Recipient) (sealedSecret, error) {
	if len(recipients) == 0 {
		return sealedSecret{Hex: hex.EncodeToString(secret[:])}, nil
	}
	sealed, err := encrypt([]byte(hex.EncodeToString(secret[:])), recipients)
	return sealedSecret{Age: sealed}, err
}

// encrypt makes an age file of something small.
func encrypt(plaintext []byte, recipients []age.Recipient) ([]byte, error) {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipients...)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(plaintext)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

const identityHint = "Give the age identity (AGE-SECRET-KEY-1…) of one of the recipients that the manifest lists: " +
	"`dataguardian recover` takes it with --identity, a platform with `dataguardian recovery-kit --import-identity`."

// Secret is the generation's secret, which a backup that builds on this one needs. It checks the
// manifest's MAC. Errors as Unseal.
func (m *Manifest) Secret(identities []age.Identity) ([32]byte, error) {
	if _, err := m.openSecret(identities); err != nil {
		return [32]byte{}, wrap("open backup", err)
	}
	return m.unsealSecret(identities)
}

// openSecret decodes the generation's secret and checks the manifest's MAC with it.
func (m *Manifest) openSecret(identities []age.Identity) (keys, error) {
	secret, err := m.unsealSecret(identities)
	if err != nil {
		return keys{}, err
	}
	k := deriveKeys(secret)
	if manifestMAC(k.manifest, m.bodyHash) != m.mac {
		return keys{}, failure.New(failure.Corrupt, "check manifest", "the manifest's mac does not fit its content", corruptManifestHint)
	}
	return k, nil
}

func (m *Manifest) unsealSecret(identities []age.Identity) (secret [32]byte, err error) {
	text := []byte(m.secret.Hex)
	if m.Encrypted() {
		if len(identities) == 0 {
			return secret, failure.New(failure.AuthFailed, "decrypt backup", "the backup is encrypted and no identity was given", identityHint)
		}
		plaintext, err := age.Decrypt(bytes.NewReader(m.secret.Age), identities...)
		if err != nil {
			return secret, classifyDecrypt(err)
		}
		if text, err = io.ReadAll(io.LimitReader(plaintext, 1*kib)); err != nil {
			return secret, failure.Wrap(failure.Corrupt, "read chunk secret", err, corruptManifestHint)
		}
	}
	secret, err = parseHash(string(text))
	if err != nil {
		// The text is a secret: it must not be in the message.
		return secret, failure.New(failure.Corrupt, "read chunk secret", "it is not 32 bytes of hexadecimal", corruptManifestHint)
	}
	return secret, nil
}

// classifyDecrypt tells the wrong identity, which another one mends, from a damaged file.
func classifyDecrypt(err error) error {
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return failure.Wrap(failure.AuthFailed, "decrypt backup", fmt.Errorf("none of the identities can decrypt it: %w", err), identityHint)
	}
	return failure.Wrap(failure.Corrupt, "decrypt backup", err, "")
}
