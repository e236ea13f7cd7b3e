package db

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	masterKeyBytes = 32
	masterKeyHint  = "Make one with `openssl rand -base64 32`, keep a copy where the backups are not, and give it as DATAGUARDIAN_MASTER_KEY or in a key file."
)

// MasterKey seals the secrets of an installation. It never prints itself.
type MasterKey struct {
	key [masterKeyBytes]byte
	set bool
}

// ParseMasterKey reads 32 bytes written as base64 (either alphabet, padded or not) or as hex.
// The error, of class ConfigInvalid, never shows the text.
func ParseMasterKey(text string) (MasterKey, error) {
	text = strings.TrimSpace(text)
	decoders := []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		if raw, err := decode(text); err == nil && len(raw) == masterKeyBytes {
			return MasterKey{key: [masterKeyBytes]byte(raw), set: true}, nil
		}
	}
	return MasterKey{}, failure.New(failure.ConfigInvalid, "read the master key",
		fmt.Sprintf("it is not %d bytes in base64 or hex (the text has %d characters)", masterKeyBytes, len(text)), masterKeyHint)
}

// GenerateMasterKey makes a random key.
func GenerateMasterKey() (MasterKey, error) {
	k := MasterKey{set: true}
	if _, err := rand.Read(k.key[:]); err != nil {
		return MasterKey{}, failure.Wrap(failure.Unknown, "make a master key", err, "")
	}
	return k, nil
}

// LoadOrCreateKeyFile reads the key file, or makes one (mode 0600, written whole or not at all).
// A file that others than its owner may read is refused.
func LoadOrCreateKeyFile(path string) (MasterKey, error) {
	op := "use the key file " + path
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKeyFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return MasterKey{}, failure.Wrap(failure.ConfigInvalid, op, err, "Give a key file in a directory that this user may write.")
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return MasterKey{}, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return MasterKey{}, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("its mode is %04o: others may read it", info.Mode().Perm()),
			"Run chmod 600 "+path+".")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return MasterKey{}, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	key, err := ParseMasterKey(string(text))
	return key, failure.Wrap(failure.ConfigInvalid, op, err, "")
}

func makeKeyFile(path string) error {
	key, err := GenerateMasterKey()
	if err != nil {
		return err
	}
	return CreateKeyFile(path, key)
}

// CreateKeyFile links a finished temporary file into place: a crash leaves no half a key, and of
// two processes starting together one wins and the other gets fs.ErrExist.
func CreateKeyFile(path string, key MasterKey) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(base64.StdEncoding.EncodeToString(key.key[:]) + "\n")
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// IsZero reports whether no key is given.
func (k MasterKey) IsZero() bool { return !k.set }

// ID names the key without telling anything about it: the first 8 hex digits of the SHA-256 of a
// value derived from it for this purpose only.
func (k MasterKey) ID() string {
	sum := sha256.Sum256(k.derive("dataguardian/v1/key-id"))
	return hex.EncodeToString(sum[:4])
}

// derive makes an independent 32-byte key for one purpose.
func (k MasterKey) derive(purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, k.key[:], nil, purpose, masterKeyBytes)
	if err != nil {
		panic(err) // only a longer output than HKDF has can fail
	}
	return derived
}

// String, GoString, Format, LogValue and MarshalText keep the key out of logs and messages.
func (k MasterKey) String() string { return failure.Mask }

// GoString masks the key for %#v.
func (k MasterKey) GoString() string { return failure.Mask }

// Format masks the key for every verb.
func (k MasterKey) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(failure.Mask)) }

// LogValue masks the key in structured logs.
func (k MasterKey) LogValue() slog.Value { return slog.StringValue(failure.Mask) }

// MarshalText masks the key in JSON and other encodings.
func (k MasterKey) MarshalText() ([]byte, error) { return []byte(failure.Mask), nil }
