package integration

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

func incremental() option {
	return withOptions(domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull})
}

// backUpAs runs the job once as another type and waits for a good end.
func (s *setup) backUpAs(t *testing.T, kind domain.BackupType) client.Execution {
	t.Helper()
	e, err := shared.owner.RunJob(t.Context(), s.job.ID, &domain.BackupOptions{BackupType: kind})
	require.NoError(t, err)
	ended := wait(t, e)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, kind, ended.BackupType, ended.Metadata.FullReason)
	return ended
}

// requireRestores restores a backup into a new database and compares it with another one.
func (s *setup) requireRestores(t *testing.T, e client.Execution, same, name string) string {
	t.Helper()
	target := s.database + name
	restored := s.restore(t, e, restoreTo(target))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, same, target)
	requireNoLeftovers(t, restored)
	return target
}

func TestAFullAnIncrementAndADifferentialEachRestoreRowByRow(t *testing.T) {
	s := newSetup(t, withRows(20_000), withNoise(20), incremental())
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	require.Equal(t, domain.Full, full.BackupType, "the first one has nothing to build on")
	require.Contains(t, full.Metadata.FullReason, "no completed backup to build on yet")
	asOfFull := s.requireRestores(t, full, s.database, "_f")

	s.exec(t, s.database, "update orders set total = total + 1 where id % 100 = 0; delete from orders where id % 101 = 0")
	increment := s.backUpAs(t, domain.Incremental)
	require.Equal(t, full.ID, *increment.ParentExecutionID)
	require.Equal(t, full.Generation, increment.Generation)
	require.Positive(t, increment.Metadata.ReusedChunks)
	require.Less(t, increment.CompressedSizeBytes, full.CompressedSizeBytes/3)
	s.requireRestores(t, increment, s.database, "_i")

	s.exec(t, s.database, "insert into noise select 100000 + n, sha256(n::text::bytea) from generate_series(1, 1000) n; alter table orders add column flag boolean")
	differential := s.backUpAs(t, domain.Differential)
	require.Equal(t, full.ID, *differential.ParentExecutionID)
	s.requireRestores(t, differential, s.database, "_d")
	s.requireRestores(t, full, asOfFull, "_f2")
	s.requireEveryObjectNamedOnce(t, full, increment, differential)

	backups, err := shared.owner.Backups(t.Context(), s.datasource.ID)
	require.NoError(t, err)
	require.Len(t, backups, 3)
}

func TestABackupOfAnUnchangedDatabaseStoresHardlyAnything(t *testing.T) {
	s := newSetup(t, withNoise(60), incremental())
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	before := s.storedBytes(t)
	again := s.backUpAs(t, domain.Incremental)
	added := s.storedBytes(t) - before
	t.Logf("first %d bytes, again %d bytes in all, %d of chunks", before, added, again.CompressedSizeBytes)
	// The beginning of a dump says when it was made, so its first chunk is always new. All else is not.
	require.LessOrEqual(t, s.chunkRows(t, again)-int(again.Metadata.ReusedChunks), 1)
	require.LessOrEqual(t, again.CompressedSizeBytes, int64(2<<20))
}

func TestAFailedIncrementLeavesTheStorageAsItWas(t *testing.T) {
	s := newSetup(t, withNoise(40), incremental())
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	before := s.hashes(t)

	s.exec(t, s.database, `insert into noise select 10000 + n, `+noiseOfRow+` from generate_series(1, 600) n`)
	running := s.start(t)
	freezeDump(t, s.database, nil)
	_, err := shared.owner.Cancel(t.Context(), running.ID)
	require.NoError(t, err)
	ended := wait(t, running)
	require.Equal(t, domain.Cancelled, ended.Status, ended.ErrorMessage)
	require.Equal(t, full.ID, *ended.ParentExecutionID)
	require.Equal(t, before, s.hashes(t))
	require.Zero(t, s.chunkRows(t, ended))

	next := s.backUpAs(t, domain.Incremental)
	require.Equal(t, full.ID, *next.ParentExecutionID)
	s.requireRestores(t, next, s.database, "_copy")
}

func TestAnotherWorkerFinishesTheIncrementOfAKilledOne(t *testing.T) {
	const pool = "killed-increment"
	s := newSetup(t, withNoise(20), withPool(pool), incremental())
	first := shared.spawnWorker(t, pool)
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	parents := s.hashes(t)

	s.exec(t, s.database, `insert into noise select 10000 + n, `+noiseOfRow+` from generate_series(1, 1000) n`)
	running := s.start(t)
	dump := freezeDump(t, s.database, func() bool { return s.chunkRows(t, running) > 0 })
	recorded := s.modTimes(t, running)
	require.NotEmpty(t, recorded)
	first.kill()
	require.Eventually(t, func() bool { return !alive(dump) }, 10*time.Second, 5*time.Millisecond, "pg_dump outlives its worker")

	shared.spawnWorker(t, pool)
	ended := wait(t, running)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, domain.Incremental, ended.BackupType)
	require.Equal(t, full.ID, *ended.ParentExecutionID)
	require.Equal(t, int32(2), s.attempts(t, ended, "Dump"))
	after := s.modTimes(t, ended)
	for path, at := range recorded {
		if now, there := after[path]; there {
			require.Equal(t, at, now, "%s was written twice", filepath.Base(path))
		}
	}
	now := s.hashes(t)
	for path, hash := range parents {
		require.Equal(t, hash, now[path], "%s of the parent changed", path)
	}
	s.requireEveryObjectNamedOnce(t, full, ended)
	s.requireRestores(t, ended, s.database, "_copy")
}

// hashes is the SHA-256 of every object of the storage.
func (s *setup) hashes(t *testing.T) map[string]string {
	t.Helper()
	hashes := map[string]string{}
	for _, path := range s.objects(t) {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		hashes[path] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return hashes
}

func (s *setup) storedBytes(t *testing.T) (total int64) {
	t.Helper()
	for _, path := range s.objects(t) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		total += info.Size()
	}
	return total
}

// requireEveryObjectNamedOnce fails when the storage holds what none of the backups names, or a
// chunk in two places, which would be one that was sent twice.
func (s *setup) requireEveryObjectNamedOnce(t *testing.T, backups ...client.Execution) {
	t.Helper()
	store, err := local.Open(t.Context(), local.Options{Root: s.storagePath})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	named, places := map[string]bool{}, map[string]string{}
	for _, e := range backups {
		m, err := archive.OpenManifest(t.Context(), store, e.Metadata.ManifestPath, e.Metadata.ManifestSHA256)
		require.NoError(t, err)
		named[e.Metadata.ManifestPath] = true
		for i, o := range m.Objects {
			key := m.ObjectKey(i)
			named[key] = true
			if other, there := places[o.ID.String()]; there {
				require.Equal(t, other, key, "a chunk is stored twice")
			}
			places[o.ID.String()] = key
		}
		require.Equal(t, len(m.Objects), s.chunkRows(t, e), "one row for each chunk that the backup refers to")
	}
	for _, path := range s.objects(t) {
		key := strings.TrimPrefix(path, s.storagePath+"/")
		require.True(t, named[key], "%s is a leftover", key)
	}
	require.Len(t, s.objects(t), len(named))
}
