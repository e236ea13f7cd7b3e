package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxProperties bounds the JSON of one stream's sealed properties: lists of schemas and roles of a
// large server take some megabytes.
const maxProperties = 16 * mib

// sealProperties encrypts a stream's properties. They come from the datasource and may hold secrets
// of its owner, settings of a database for example. Nil: there are none, or no recipients.
func sealProperties(properties map[string]string, recipients []age.Recipient) ([]byte, error) {
	text, err := encodeProperties(properties, recipients)
	if err != nil || text == nil {
		return nil, err
	}
	return encrypt(text, recipients)
}

// encodeProperties is what sealProperties encrypts, or why that can not be.
func encodeProperties(properties map[string]string, recipients []age.Recipient) ([]byte, error) {
	if len(properties) == 0 || len(recipients) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(properties)
	if err == nil && len(text) > maxProperties {
		err = fmt.Errorf("its properties take %d bytes, the most is %d", len(text), maxProperties)
	}
	return text, err
}

// Unseal checks the manifest's MAC and fills in the properties of its streams, which an encrypted
// backup keeps sealed. Calling it again, or for a backup that is not encrypted, changes nothing. It
// must not run beside another use of the manifest. Errors: AuthFailed when no identity fits, Corrupt
// when the manifest was changed.
func (m *Manifest) Unseal(identities []age.Identity) error {
	if _, err := m.unseal(identities); err != nil {
		return wrap("open backup", err)
	}
	return nil
}

func (m *Manifest) unseal(identities []age.Identity) (keys, error) {
	k, err := m.openSecret(identities)
	if err != nil {
		return keys{}, err
	}
	for i := range m.Streams {
		s := &m.Streams[i]
		if len(s.sealed) == 0 || s.Properties != nil {
			continue
		}
		if s.Properties, err = openProperties(s.sealed, identities); err != nil {
			return keys{}, wrap(fmt.Sprintf("read the properties of stream %q", s.Name), err)
		}
	}
	return k, nil
}

func openProperties(sealed []byte, identities []age.Identity) (map[string]string, error) {
	const op = "decrypt properties"
	plaintext, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if err != nil {
		return nil, classifyDecrypt(err)
	}
	text, err := io.ReadAll(io.LimitReader(plaintext, maxProperties+1))
	if err == nil && len(text) > maxProperties {
		err = fmt.Errorf("they take more than %d bytes", maxProperties)
	}
	if err != nil {
		return nil, failure.Wrap(failure.Corrupt, op, err, corruptManifestHint)
	}
	properties := map[string]string{}
	if err := json.Unmarshal(text, &properties); err != nil {
		// What the decoder met may be a secret: it must not be in the message.
		err = errors.New("they are not an object of texts")
		return nil, failure.Wrap(failure.Corrupt, op, err, corruptManifestHint)
	}
	return properties, nil
}
