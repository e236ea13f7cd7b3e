package archive

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
	"github.com/dataguardian/dataguardian/internal/storage/memory"
)

// The objects that damageSeveral damages, and which of it a listing shows.
const (
	flipped, cut, gone, swappedA, swappedB, first = 3, 5, 8, 11, 12, 0
)

// damageSeveral damages six objects, each in another way.
func damageSeveral(t *testing.T, store storage.Store, m *Manifest) {
	t.Helper()
	change := func(index int, how func([]byte) []byte) {
		replace(t, store, m.ObjectKey(index), how(contentOf(t, store, m.ObjectKey(index))))
	}
	change(flipped, func(b []byte) []byte { b[len(b)/3] ^= 4; return b })
	change(cut, func(b []byte) []byte { return b[:len(b)/2] })
	require.NoError(t, store.Delete(context.Background(), m.ObjectKey(gone)))
	a, b := contentOf(t, store, m.ObjectKey(swappedA)), contentOf(t, store, m.ObjectKey(swappedB))
	replace(t, store, m.ObjectKey(swappedA), b)
	replace(t, store, m.ObjectKey(swappedB), a)
	change(first, func(b []byte) []byte { return append(b, b...) })
}

func indices(f Findings) []int {
	var found []int
	for _, d := range f.Damaged {
		found = append(found, d.Object)
	}
	return found
}

func reasonOf(t *testing.T, f Findings, index int) string {
	t.Helper()
	for _, d := range f.Damaged {
		if d.Object == index {
			return d.Reason
		}
	}
	t.Fatalf("object %d is not among the damaged", index)
	return ""
}

func TestEveryDamagedObjectIsFoundAndNoOther(t *testing.T) {
	for _, encrypted := range []bool{true, false} {
		t.Run(fmt.Sprintf("encrypted %t", encrypted), func(t *testing.T) {
			noLeaks(t)
			ctx, id, store := context.Background(), identity(t), newMemory()
			opts := options(store)
			if encrypted {
				opts.Recipients = []age.Recipient{id.Recipient()}
			}
			result, _ := backup(t, opts, dumpText(1, 200_000))
			m := result.Manifest
			reader, err := NewReader(store, m, []age.Identity{id}, ReaderOptions{})
			require.NoError(t, err)
			good, err := reader.FindDamage(ctx, DamageOptions{})
			require.NoError(t, err)
			require.Equal(t, Findings{Objects: int64(len(m.Objects)), Bytes: m.StoredBytes()}, good)
			damageSeveral(t, store, m)

			all := []int{flipped, cut, gone, swappedA, swappedB, first}
			for name, find := range map[string]func(context.Context, DamageOptions) (Findings, error){
				"every chunk": reader.FindDamage,
				"every byte": func(ctx context.Context, o DamageOptions) (Findings, error) {
					return FindChangedBytes(ctx, store, m, o)
				},
			} {
				var told int64
				found, err := find(ctx, DamageOptions{Progress: func(objects, _ int64) { told = objects }})
				require.NoError(t, err, name)
				require.ElementsMatch(t, all, indices(found), name)
				require.Equal(t, int64(len(all)), found.Count, name)
				require.Equal(t, int64(len(m.Objects)), found.Objects, "it went on: %s", name)
				require.Equal(t, found.Objects, told, name)
				require.Equal(t, "it is missing", reasonOf(t, found, gone))
				require.Equal(t, "its SHA-256 is not the one in the manifest", reasonOf(t, found, flipped))
				require.Contains(t, reasonOf(t, found, cut), "bytes long, the manifest says")

				found, err = find(ctx, DamageOptions{Skip: func(i int) bool { return i != cut && i != 20 }})
				require.NoError(t, err, name)
				require.Equal(t, []int{cut}, indices(found), name)
				require.Equal(t, int64(2), found.Objects, name)
			}
			found, err := FindMissing(ctx, store, m, DamageOptions{})
			require.NoError(t, err)
			listed := []int{cut, gone, first}
			if m.Objects[swappedA].StoredBytes != m.Objects[swappedB].StoredBytes {
				listed = append(listed, swappedA, swappedB)
			}
			require.ElementsMatch(t, listed, indices(found))
			require.Equal(t, int64(len(m.Objects)), found.Objects)
		})
	}
}

func TestALostLocationIsCountedAndListedInPart(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	opts := options(store)
	opts.Params = Params{Average: 1024, Min: 64, Max: 2048}
	result, _ := backup(t, opts, dumpText(1, 2_000_000))
	require.Greater(t, len(result.Manifest.Objects), maxDamageListed)
	found, err := FindMissing(ctx, memory.New(0), result.Manifest, DamageOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(len(result.Manifest.Objects)), found.Count)
	require.Len(t, found.Damaged, maxDamageListed)
}

func TestAStorageThatFailsIsNoDamage(t *testing.T) {
	ctx, id, store := context.Background(), identity(t), faulty.New(newMemory())
	result, _ := backup(t, options(store, id.Recipient()), dumpText(1, 100_000))
	reader, err := NewReader(store, result.Manifest, []age.Identity{id}, ReaderOptions{})
	require.NoError(t, err)
	for _, op := range []faulty.Op{faulty.Get, faulty.List} {
		store.Inject(faulty.Fault{Op: op, From: 2, Err: failure.New(failure.Unreachable, "read", "the cable is out", "")})
	}
	_, err = reader.FindDamage(ctx, DamageOptions{})
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	_, err = FindChangedBytes(ctx, store, result.Manifest, DamageOptions{})
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	store.Clear()
	store.Inject(faulty.Fault{Op: faulty.List, Err: failure.New(failure.Unreachable, "list", "the cable is out", "")})
	_, err = FindMissing(ctx, store, result.Manifest, DamageOptions{})
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
}

// copyOf is a store with the same objects.
func copyOf(t *testing.T, store storage.Store) *memory.Store {
	t.Helper()
	replica := memory.New(0)
	require.NoError(t, store.List(context.Background(), "", func(o storage.Object) error {
		replace(t, replica, o.Key, contentOf(t, store, o.Key))
		return nil
	}))
	return replica
}

func TestDamagedObjectsAreHealedFromACopy(t *testing.T) {
	ctx, id, store := context.Background(), identity(t), newMemory()
	data := dumpText(1, 200_000)
	result, _ := backup(t, options(store, id.Recipient()), data)
	m, replica := result.Manifest, copyOf(t, store)
	damageSeveral(t, store, m)
	found, err := FindChangedBytes(ctx, store, m, DamageOptions{})
	require.NoError(t, err)
	for _, d := range found.Damaged {
		require.NoError(t, HealObject(ctx, replica, store, m, d.Object))
	}
	got, err := restore(t, store, "main", id)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

func TestACopyThatIsDamagedTooReplacesNothing(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	result, _ := backup(t, options(store, identity(t).Recipient()), dumpText(1, 100_000))
	m, replica := result.Manifest, copyOf(t, store)
	damageSeveral(t, replica, m)
	for _, index := range []int{flipped, cut, swappedA, first} {
		before := contentOf(t, store, m.ObjectKey(index))
		err := HealObject(ctx, replica, store, m, index)
		require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
		require.Equal(t, before, contentOf(t, store, m.ObjectKey(index)), "what is there stays")
	}
	require.Equal(t, failure.NotFound, failure.ClassOf(HealObject(ctx, replica, store, m, gone)))
}

func TestAManifestIsHealedFromACopy(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	result, _ := backup(t, options(store, identity(t).Recipient()), dumpText(1, 100_000))
	replica, key := copyOf(t, store), testManifestKey()
	good := contentOf(t, store, key)
	edited := bytes.Replace(good, []byte("Orders DB"), []byte("Orders DC"), 1)
	replace(t, store, key, edited)
	require.NoError(t, HealManifest(ctx, replica, key, store, key, result.ManifestSHA256))
	require.Equal(t, good, contentOf(t, store, key))

	replace(t, store, key, edited)
	replace(t, replica, key, append(good, '\n'))
	err := HealManifest(ctx, replica, key, store, key, result.ManifestSHA256)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err), "%v", err)
	require.Equal(t, edited, contentOf(t, store, key), "what is there stays")
}
