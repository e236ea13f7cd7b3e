package archive

import (
	"bytes"
	"context"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const propertySecret = "hunter2-in-a-setting"

// backupWithSecret writes a backup whose stream has a secret in a property.
func backupWithSecret(t *testing.T, store storage.Store, recipients ...age.Recipient) (CommitResult, StreamMeta) {
	t.Helper()
	ctx := context.Background()
	w, err := NewWriter(ctx, options(store, recipients...))
	require.NoError(t, err)
	meta := StreamMeta{Name: "main", Format: "text", Properties: map[string]string{
		"settings": `[{"name":"app.jwt_secret","value":"` + propertySecret + `"}]`, "comment": "<ordens & serviço>",
	}}
	require.NoError(t, w.WriteStream(ctx, meta, bytes.NewReader(dumpText(1, 20_000))))
	require.NoError(t, w.WriteStream(ctx, StreamMeta{Name: "bare", Format: "text"}, bytes.NewReader(nil)))
	result, err := w.Commit(ctx, testHeader(), testManifestKey())
	require.NoError(t, err)
	return result, meta
}

// storedWith counts the stored objects in which text is found.
func storedWith(t *testing.T, store storage.Store, text string) (found, objects int) {
	t.Helper()
	require.NoError(t, store.List(context.Background(), "", func(object storage.Object) error {
		objects++
		if bytes.Contains(contentOf(t, store, object.Key), []byte(text)) {
			found++
		}
		return nil
	}))
	return found, objects
}

func TestPropertiesOfAnEncryptedBackupAreSealed(t *testing.T) {
	first, second := identity(t), identity(t)
	store := newMemory()
	result, meta := backupWithSecret(t, store, first.Recipient(), second.Recipient())
	for _, text := range []string{propertySecret, "app.jwt_secret", "serviço"} {
		found, objects := storedWith(t, store, text)
		require.Zero(t, found, "%q is in clear in the storage", text)
		require.Greater(t, objects, 2)
	}
	require.Equal(t, meta, result.Manifest.Streams[0].StreamMeta, "the writer keeps what it was given")

	for _, id := range []age.Identity{first, second} {
		m, err := OpenManifest(context.Background(), store, testManifestKey(), result.ManifestSHA256)
		require.NoError(t, err)
		require.Empty(t, m.Streams[0].Properties)
		for range 2 {
			require.NoError(t, m.Unseal([]age.Identity{id}))
			require.Equal(t, meta, m.Streams[0].StreamMeta)
			require.Empty(t, m.Streams[1].Properties)
		}
		written := documentOf(t, m, func(*Manifest) {})
		require.NotContains(t, written, propertySecret, "a manifest that is written again is sealed still")
	}
	m, err := OpenManifest(context.Background(), store, testManifestKey(), "")
	require.NoError(t, err)
	_, err = NewReader(store, m, []age.Identity{second}, ReaderOptions{})
	require.NoError(t, err)
	require.Equal(t, meta, m.Streams[0].StreamMeta)
}

func TestPropertiesOfAPlainBackupStayReadable(t *testing.T) {
	store := newMemory()
	_, meta := backupWithSecret(t, store)
	found, _ := storedWith(t, store, propertySecret)
	require.Equal(t, 1, found)
	m, err := OpenManifest(context.Background(), store, testManifestKey(), "")
	require.NoError(t, err)
	require.NoError(t, m.Unseal(nil))
	require.Equal(t, meta, m.Streams[0].StreamMeta)
}

func TestUnsealTellsTheWrongIdentityFromADamagedManifest(t *testing.T) {
	id := identity(t)
	cases := map[string]struct {
		identities []age.Identity
		damage     func(*Manifest)
		class      failure.Class
	}{
		"no identity":           {nil, func(*Manifest) {}, failure.AuthFailed},
		"another identity":      {[]age.Identity{identity(t)}, func(*Manifest) {}, failure.AuthFailed},
		"the manifest's mac":    {[]age.Identity{id}, func(m *Manifest) { m.mac[0] ^= 1 }, failure.Corrupt},
		"a bit of the age file": {[]age.Identity{id}, func(m *Manifest) { s := m.Streams[0].sealed; s[len(s)-1] ^= 1 }, failure.Corrupt},
		"not the JSON of properties": {[]age.Identity{id}, func(m *Manifest) {
			sealed, err := encrypt([]byte(`["`+propertySecret+`"]`), []age.Recipient{id.Recipient()})
			require.NoError(t, err)
			m.Streams[0].sealed = sealed
		}, failure.Corrupt},
		"longer than any writer's": {[]age.Identity{id}, func(m *Manifest) {
			sealed, err := encrypt(bytes.Repeat([]byte(" "), maxProperties+1), []age.Recipient{id.Recipient()})
			require.NoError(t, err)
			m.Streams[0].sealed = sealed
		}, failure.Corrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			backupWithSecret(t, store, id.Recipient())
			m, err := OpenManifest(context.Background(), store, testManifestKey(), "")
			require.NoError(t, err)
			c.damage(m)
			err = m.Unseal(c.identities)
			require.Equal(t, c.class, failure.ClassOf(err))
			require.NotContains(t, failure.Message(err), propertySecret)
			require.Empty(t, m.Streams[0].Properties)
		})
	}
}

func TestPropertiesThatNoReaderWouldTakeAreRefusedBeforeTheData(t *testing.T) {
	w, err := NewWriter(context.Background(), options(newMemory(), identity(t).Recipient()))
	require.NoError(t, err)
	meta := StreamMeta{Name: "main", Format: "text", Properties: map[string]string{"comment": string(make([]byte, maxProperties))}}
	err = w.WriteStream(context.Background(), meta, bytes.NewReader(dumpText(1, 1000)))
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.Zero(t, w.Counters().Bytes)
}
