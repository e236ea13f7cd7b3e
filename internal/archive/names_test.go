package archive

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAManifestIsFoundByItsKey(t *testing.T) {
	for _, attempt := range []int32{1, 2, 17} {
		name, ok := ParseManifestKey(ManifestKey(testDir(), testStart, testExecution, attempt))
		require.True(t, ok)
		require.Equal(t, ManifestName{
			Key: ManifestKey(testDir(), testStart, testExecution, attempt), DatasourceDir: testDir(), DatasourceID8: "11223344",
			Created: testStart, ExecutionID8: "aabbccdd", Attempt: int(attempt),
		}, name)
	}
	for _, key := range []string{
		"", RepositoryKey, testDir() + "/chunks/aabbccdd/00/x", "x/" + testManifestKey(), testManifestKey() + ".bak",
		testDir() + "/backups/2026-13-03_040506-aabbccdd/manifest.json", testDir() + "/backups/2026-02-03_040506-aabbccdd-0/manifest.json",
		"../" + testManifestKey(), testDir() + "/backups/x/manifest.json",
	} {
		_, ok := ParseManifestKey(key)
		require.False(t, ok, key)
	}
}

func TestManifestsAreListedAmongEverythingElse(t *testing.T) {
	ctx, store := context.Background(), newMemory()
	backup(t, options(store), dumpText(1, 50_000))
	require.NoError(t, store.Put(ctx, "notes/readme.txt", bytes.NewReader(nil), 0))
	names, err := ListManifests(ctx, store)
	require.NoError(t, err)
	require.Len(t, names, 1)
	require.Equal(t, testManifestKey(), names[0].Key)
}
