package storagetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func (s suite) testFolders(t *testing.T, store storage.Store) { Folders(t, store) }

// Folders checks that the folders of a store, which is empty, are listed by their entries.
func Folders(t *testing.T, store storage.Store) {
	t.Helper()
	// A dot sorts before a slash and a digit behind it, so "a/" is between "a.b" and "a0".
	for _, key := range []string{"a/b/1", "a/b/2", "a/c", "a.b", "a0", "odd +%2F\n/é/x", "z/deep/er/x", "é"} {
		put(t, store, key, key)
	}
	for _, c := range []struct {
		folder, after string
		want          []string
	}{
		{"", "", []string{"a.b", "a/", "a0", "odd +%2F\n/", "z/", "é"}},
		{"", "a", []string{"a.b", "a/", "a0", "odd +%2F\n/", "z/", "é"}},
		{"", "a/", []string{"a0", "odd +%2F\n/", "z/", "é"}},
		{"", "a/b", []string{"a0", "odd +%2F\n/", "z/", "é"}},
		{"", "odd +%2F\n/", []string{"z/", "é"}},
		{"", "é", []string{}},
		{"a", "", []string{"b/", "c"}},
		{"a", "b", []string{"b/", "c"}},
		{"a/b", "", []string{"1", "2"}},
		{"a/b", "1", []string{"2"}},
		{"z/deep", "", []string{"er/"}},
		{"odd +%2F\n", "", []string{"é/"}},
	} {
		require.Equal(t, c.want, folderNames(t, store, c.folder, c.after), "%q after %q", c.folder, c.after)
	}
	for _, missing := range []string{"nothing", "nothing/at/all", "a/c", "a/b/1", "a/bb"} {
		err := storage.ListFolder(t.Context(), store, missing, "", func(storage.Entry) error { return errors.New("an entry") })
		if err != nil {
			require.Equal(t, failure.NotFound, failure.ClassOf(err), "%s: %v", missing, err)
		}
	}
	for _, bad := range []string{"..", "a/../..", "/etc", "a//b", storage.Reserved, "a/"} {
		err := storage.ListFolder(t.Context(), store, bad, "", nil)
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%q: %v", bad, err)
	}
	enough := errors.New("enough")
	require.ErrorIs(t, storage.ListFolder(t.Context(), store, "", "", func(storage.Entry) error { return enough }), enough)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, storage.ListFolder(ended, store, "a", "", func(storage.Entry) error { return nil }), context.Canceled)
}

// folderNames lists a folder, and checks what is said of the entries besides their names: the content
// of every object is its key.
func folderNames(t *testing.T, store storage.Store, folder, after string) []string {
	t.Helper()
	names := []string{}
	require.NoError(t, storage.ListFolder(t.Context(), store, folder, after, func(e storage.Entry) error {
		names = append(names, e.Name)
		require.Equal(t, strings.TrimPrefix(folder+"/"+strings.TrimSuffix(e.Name, "/"), "/"), e.Key)
		if !e.IsFolder() {
			require.Equal(t, int64(len(e.Key)), e.Size)
			require.False(t, e.ModTime.IsZero())
		}
		return nil
	}), "%q after %q", folder, after)
	return names
}
