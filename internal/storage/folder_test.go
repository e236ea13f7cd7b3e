package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
)

// plain hides every capability of a store.
type plain struct{ storage.Store }

func folderStores(t *testing.T) map[string]storage.Store {
	t.Helper()
	disk, err := local.Open(t.Context(), local.Options{Root: t.TempDir() + "/disk"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, disk.Close()) })
	return map[string]storage.Store{
		"a local disk": disk, "memory": memory.New(0), "a store that lists no folders": plain{memory.New(0)},
		"a decorated one": retry.New(memory.New(0), retry.Options{}),
	}
}

func namesOf(t *testing.T, store storage.Store, folder, after string) []string {
	t.Helper()
	names := []string{}
	require.NoError(t, storage.ListFolder(t.Context(), store, folder, after, func(e storage.Entry) error {
		names = append(names, e.Name)
		if e.IsFolder() {
			require.Equal(t, e.Name, e.Key[strings.LastIndexByte(e.Key, '/')+1:]+"/")
		} else {
			require.Equal(t, int64(len(e.Key)), e.Size)
			require.False(t, e.ModTime.IsZero())
		}
		return nil
	}))
	return names
}

func TestAFolderIsListedByItsEntries(t *testing.T) {
	for name, store := range folderStores(t) {
		t.Run(name, func(t *testing.T) {
			// A dot sorts before a slash and a digit behind it, so "a/" is between "a.b" and "a0".
			for _, key := range []string{"a/b/1", "a/b/2", "a/c", "a.b", "a0", "z/deep/er/x", "é"} {
				require.NoError(t, store.Put(t.Context(), key, strings.NewReader(key), int64(len(key))))
			}
			require.Equal(t, []string{"a.b", "a/", "a0", "z/", "é"}, namesOf(t, store, "", ""))
			require.Equal(t, []string{"a0", "z/", "é"}, namesOf(t, store, "", "a/"))
			require.Equal(t, []string{"b/", "c"}, namesOf(t, store, "a", ""))
			require.Equal(t, []string{"1", "2"}, namesOf(t, store, "a/b", ""))
			require.Equal(t, []string{"er/"}, namesOf(t, store, "z/deep", ""))
			has, err := storage.HasFolder(t.Context(), store, "a/b")
			require.NoError(t, err)
			require.True(t, has)
			has, err = storage.HasFolder(t.Context(), store, "a/bb")
			require.NoError(t, err)
			require.False(t, has)
			for _, missing := range []string{"nothing", "a/c", "a/b/1"} {
				err := storage.ListFolder(t.Context(), store, missing, "", func(storage.Entry) error { return errors.New("an entry") })
				if err != nil {
					require.Equal(t, failure.NotFound, failure.ClassOf(err))
				}
			}
			enough := errors.New("enough")
			require.ErrorIs(t, storage.ListFolder(t.Context(), store, "", "", func(storage.Entry) error { return enough }), enough)
			for _, bad := range []string{"..", "a/../..", "/etc", "a//b", ".tmp", "a/"} {
				err := storage.ListFolder(t.Context(), store, bad, "", nil)
				require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), bad)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, storage.ListFolder(ended, store, "a", "", func(storage.Entry) error { return nil }), context.Canceled)
		})
	}
}

type unknownKey struct{ error }

func (unknownKey) ServerHostKey() (key, fingerprint string) { return "ssh-ed25519 AAAA", "SHA256:x" }

func TestAnUnknownHostKeyIsFoundInTheErrorOfOpening(t *testing.T) {
	err := failure.Wrap(failure.ConfigInvalid, "connect", unknownKey{errors.New("not confirmed")}, "Compare it.")
	key, fingerprint, ok := storage.UnknownHostKey(failure.WithSubject(err, "storage location"))
	require.True(t, ok)
	require.Equal(t, []string{"ssh-ed25519 AAAA", "SHA256:x"}, []string{key, fingerprint})
	_, _, ok = storage.UnknownHostKey(errors.New("other"))
	require.False(t, ok)
}
