package storage_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest"
)

// plain hides every capability of a store.
type plain struct{ storage.Store }

func TestAStoreThatListsNoFoldersIsListedByThemAllTheSame(t *testing.T) {
	storagetest.Folders(t, plain{memory.New(0)})
	storagetest.Folders(t, retry.New(plain{memory.New(0)}, retry.Options{}))
}

func TestAFolderIsThereBecauseAnObjectIsBelowIt(t *testing.T) {
	store := memory.New(0)
	require.NoError(t, store.Put(t.Context(), "a/b/1", strings.NewReader("x"), 1))
	for folder, want := range map[string]bool{"a": true, "a/b": true, "a/bb": false, "a/b/1": false} {
		has, err := storage.HasFolder(t.Context(), store, folder)
		require.NoError(t, err)
		require.Equal(t, want, has, folder)
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
