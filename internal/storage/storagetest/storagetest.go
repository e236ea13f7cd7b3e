// Package storagetest checks that a store keeps the contract of storage.Store. Every backend and
// every decorator runs the same suite.
package storagetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// Config is one implementation to check.
type Config struct {
	// Open returns a new, empty store. The suite closes it.
	Open func(t *testing.T) storage.Store
	// Is reports whether a store is the implementation under test, so that a suite never passes on
	// another one by accident.
	Is func(storage.Store) bool
	// OpenWithQuota returns a new, empty store that takes maxBytes bytes; nil if the backend has no quota.
	OpenWithQuota func(t *testing.T, maxBytes int64) storage.Store
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	s := suite{c}
	for _, test := range []struct {
		name string
		run  func(*testing.T, storage.Store)
	}{
		{"what was put is got, ranges included", testGet},
		{"objects of zero bytes and of 100 MiB", testSizes},
		{"a put replaces the object", testReplace},
		{"a missing object is told at once", testMissing},
		{"keys outside the rules are refused by every method", testBadKeys},
		{"odd names are kept as they are", testOddNames},
		{"a listing is in byte order of the keys", testListOrder},
		{"a listing of 5,000 objects is complete", testListMany},
		{"a listing stops when it is told to", testListStops},
		{"delete and copy", testDeleteAndCopy},
		{"a body of another length leaves nothing", testWrongLength},
		{"a body that fails leaves what was there", testFailingBody},
		{"a put that is cancelled leaves nothing", testCancelledPut},
		{"a cancelled context ends every method", testCancelled},
		{"a read ends with its context", testCancelledRead},
		{"concurrent writers and readers see whole objects", testConcurrent},
		{"usage counts what is stored", testUsage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
	if c.OpenWithQuota == nil {
		return
	}
	t.Run("a full store refuses, and takes again what fits", func(t *testing.T) { testFull(t, s.own(t, c.OpenWithQuota(t, quota))) })
}

type suite struct{ Config }

func (s suite) open(t *testing.T) storage.Store {
	t.Helper()
	return s.own(t, s.Open(t))
}

// own checks that it is the right store and closes it after the test.
func (s suite) own(t *testing.T, store storage.Store) storage.Store {
	t.Helper()
	require.True(t, s.Is(store), "the suite got a %T", store)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// list returns the keys below prefix in the order in which they came.
func list(t *testing.T, store storage.Store, prefix string) []string {
	t.Helper()
	keys := []string{}
	require.NoError(t, store.List(context.Background(), prefix, func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	}))
	return keys
}
