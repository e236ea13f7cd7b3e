// Package storagetest checks that a store keeps the contract of storage.Store. Every backend and
// every decorator runs the same suite.
package storagetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// Config is one implementation to check. A hook that is missing, and an expensive check that is left
// out, is named in Without with the reason, so that nothing goes unchecked by oversight.
type Config struct {
	// Open returns a new, empty store. The suite closes it.
	Open func(t *testing.T) storage.Store
	// Is reports whether a store is the implementation under test, so that a suite never passes on
	// another one by accident.
	Is func(storage.Store) bool

	// OpenWithQuota returns a new, empty store that takes maxBytes bytes of objects. (Quota)
	OpenWithQuota func(t *testing.T, maxBytes int64) storage.Store
	// OpenSmall returns a new, empty store whose device, not whose quota, takes less than maxBytes.
	// SmallDir makes a directory that does. (Full)
	OpenSmall func(t *testing.T, maxBytes int64) storage.Store
	// OpenReadOnly returns a store that holds objects (contents by key) in a location that its user
	// may read and not write. ReadOnlyDir makes a directory so. (PermissionDenied)
	OpenReadOnly func(t *testing.T, objects map[string]string) storage.Store
	// OpenBroken returns a new, empty store over a connection that can be cut. (BrokenConnection)
	OpenBroken func(t *testing.T) Broken

	// Without gives the reason for each check that this implementation can not be put to, or that is
	// too expensive here; then the reason names the test that makes it.
	Without map[Check]string
	// Parallel is how many objects are put at once where there are many; 0 is 8.
	Parallel int
	// Secrets must not be in any error.
	Secrets []string
}

// Check names what a Config may be without.
type Check string

// The checks that need a hook, and the two that take long on a slow server.
const (
	Quota            Check = "quota"
	Full             Check = "full"
	PermissionDenied Check = "permission denied"
	BrokenConnection Check = "broken connection"
	LargeObject      Check = "an object of 100 MiB"
	ManyObjects      Check = "5,000 objects"
)

// Run runs the suite.
func Run(t *testing.T, c Config) {
	c.complete(t)
	s := suite{c}
	for _, test := range []struct {
		name string
		run  func(suite, *testing.T, storage.Store)
	}{
		{"what was put is got, ranges included", suite.testGet},
		{"objects of every size", suite.testSizes},
		{"a put replaces the object", suite.testReplace},
		{"a body is stored from where it stands, however it is read", suite.testBodies},
		{"a body is left alone when the put is over", suite.testBodyLeftAlone},
		{"a missing object is told at once", suite.testMissing},
		{"keys outside the rules are refused by every method", suite.testBadKeys},
		{"odd names are kept as they are", suite.testOddNames},
		{"a listing is in byte order of the keys", suite.testListOrder},
		{"a listing stops when it is told to", suite.testListStops},
		{"a folder is listed by its entries", suite.testFolders},
		{"objects are deleted while they are listed", suite.testDeleteListed},
		{"delete and copy", suite.testDeleteAndCopy},
		{"a body of another length leaves nothing", suite.testWrongLength},
		{"a body that fails leaves what was there", suite.testFailingBody},
		{"a put that is cancelled leaves nothing", suite.testCancelledPut},
		{"a cancelled context ends every method", suite.testCancelled},
		{"a deadline that passed ends every method", suite.testDeadline},
		{"a read ends with its context", suite.testCancelledRead},
		{"readers that are closed early cost nothing", suite.testClosedEarly},
		{"concurrent writers and readers see whole objects", suite.testConcurrent},
		{"usage counts what is stored", suite.testUsage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(s, t, s.open(t)) })
	}
	s.check(t, LargeObject, func(t *testing.T) { s.testLarge(t, s.open(t)) })
	s.check(t, ManyObjects, func(t *testing.T) { s.testListMany(t, s.open(t)) })
	s.check(t, Quota, func(t *testing.T) { s.testQuota(t, s.own(t, c.OpenWithQuota(t, quota))) })
	s.check(t, Full, func(t *testing.T) { s.testFull(t, s.own(t, c.OpenSmall(t, small))) })
	s.check(t, PermissionDenied, s.testReadOnly)
	s.check(t, BrokenConnection, s.testBroken)
}

// complete fails the test of a Config that leaves something out and does not say why.
func (c Config) complete(t *testing.T) {
	t.Helper()
	known := map[Check]bool{LargeObject: false, ManyObjects: false}
	for check, has := range map[Check]bool{
		Quota: c.OpenWithQuota != nil, Full: c.OpenSmall != nil,
		PermissionDenied: c.OpenReadOnly != nil, BrokenConnection: c.OpenBroken != nil,
	} {
		known[check] = has
		if !has {
			require.NotEmpty(t, c.Without[check], "Config has neither a hook for the check %q nor a reason in Without", check)
		}
	}
	for check, reason := range c.Without {
		has, ok := known[check]
		require.True(t, ok, "Without has an unknown check %q", check)
		require.False(t, has, "Config has a hook for the check %q and says that it can not be made", check)
		require.NotEmpty(t, reason, "the check %q is left out without a reason", check)
	}
	for _, check := range []Check{LargeObject, ManyObjects} {
		if reason, without := c.Without[check]; without {
			require.Regexp(t, `\bTest\w+`, reason, "the reason to leave out %q must name the test that makes it", check)
			require.NotContains(t, reason, t.Name(), "a test does not make the check %q that it leaves out", check)
		}
	}
}

type suite struct{ Config }

// check makes a check that the Config may be without, or tells why not.
func (s suite) check(t *testing.T, name Check, run func(*testing.T)) {
	t.Helper()
	if reason, without := s.Without[name]; without {
		t.Logf("without the check %q: %s", name, reason)
		return
	}
	t.Run(string(name), run)
}

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

// harmless fails the test if err gives a secret away.
func (s suite) harmless(t *testing.T, err error) {
	t.Helper()
	for _, secret := range s.Secrets {
		require.NotContains(t, err.Error(), secret)
	}
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
