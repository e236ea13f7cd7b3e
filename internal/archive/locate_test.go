package archive

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func TestAKeyIsLocatedOnlyIfAWriterCouldHaveMadeIt(t *testing.T) {
	const dir, execution = "orders-0a1b2c3d", "01980000-0000-7000-8000-0000deadbeef"
	at := time.Date(2026, 11, 23, 21, 20, 2, 500, time.UTC)
	for _, attempt := range []int32{1, 2, 13} {
		p, ok := Locate(ManifestKey(dir, at, execution, attempt))
		require.True(t, ok)
		require.Equal(t, Place{Dir: dir, Created: at.Truncate(time.Second), Execution: "deadbeef"}, p)
		require.True(t, p.IsManifest())
		require.Equal(t, "0a1b2c3d", p.Datasource())
	}
	id := ChunkID{1, 2, 3}
	for _, compression := range []domain.Compression{domain.CompressionZstd, domain.CompressionGzip, domain.CompressionLZ4, domain.CompressionNone} {
		for _, folder := range []string{"aabbccdd", "aabbccdd-2", "aabbccdd-11223344-2"} {
			p, ok := Locate(ObjectKey(dir, folder, id, compression, compression == domain.CompressionZstd))
			require.True(t, ok)
			require.Equal(t, Place{Dir: dir, Folder: folder, Chunk: id}, p)
			require.False(t, p.IsManifest())
		}
	}
	for _, foreign := range []string{
		"", RepositoryKey, "probe/x", dir, dir + "/backups/notes.txt", dir + "/backups/2026-11-23_212002-deadbeef/manifest.json.bak",
		dir + "/backups/2026-13-23_212002-deadbeef/manifest.json", dir + "/backups/2026-11-23_212002/manifest.json",
		dir + "/chunks/aabbccdd/00/readme", dir + "/chunks/aabbccdd/ff/" + id.String() + ".zst", "x/" + dir + "/chunks/aabbccdd/01/" + id.String(),
		dir + "/chunks/" + id.String(), dir + "/chunks/aabbccdd/01/" + id.String() + ".zst.age.tmp",
	} {
		_, ok := Locate(foreign)
		require.False(t, ok, foreign)
	}
	require.Empty(t, Place{Dir: "somebody-else"}.Datasource())
}
