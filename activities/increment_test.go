package activities_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/faulty"
)

const mib = 1 << 20

func TestAChainOfBackupsEachCompleteByItself(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 20*mib)
	first := s.good(domain.Incremental)
	require.Equal(t, domain.Full, first.BackupType, "there was nothing to build on")
	require.Contains(t, first.Metadata.FullReason, "no completed backup")
	require.Equal(t, []string{"a table was skipped"}, first.Metadata.Warnings, "that is no reason to warn")
	firstData := s.source.content()

	s.source.change("a row was changed")
	second := s.good(domain.Incremental)
	require.Equal(t, domain.Incremental, second.BackupType)
	require.Equal(t, first.ID, *second.ParentExecutionID)
	require.Equal(t, first.Generation, second.Generation)
	require.Less(t, second.CompressedSizeBytes, int64(3*mib))
	require.Positive(t, second.CompressedSizeBytes)
	require.Greater(t, second.Metadata.ReusedBytes, int64(16*mib))
	require.Contains(t, logged(second), "building on the full backup "+first.ID)

	unchanged := s.good(domain.Incremental)
	require.Equal(t, second.ID, *unchanged.ParentExecutionID)
	require.Zero(t, unchanged.CompressedSizeBytes, "nothing changed, nothing is stored")

	s.source.change("another row was changed")
	differential := s.good(domain.Differential)
	require.Equal(t, first.ID, *differential.ParentExecutionID)
	m := s.requireGood(differential)
	require.Equal(t, first.ID, m.Parent)
	require.Equal(t, domain.Differential, m.BackupType)
	for i := range m.Objects {
		require.Contains(t, []string{first.Generation, first.Generation + "-" + domain.ID8(differential.ID)}, m.Folder(i),
			"a differential shares objects with its full only")
	}
	s.requireReads(first, firstData)

	newFull := s.good(domain.Full)
	require.Zero(t, newFull.Metadata.ReusedChunks)
	for i, m := 0, s.requireGood(newFull); i < len(m.Objects); i++ {
		require.Equal(t, domain.ID8(newFull.ID), m.Folder(i), "a full shares nothing")
	}
}

func TestAFullComesAfterFullEveryIncrements(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 3*mib)
	var kinds []domain.BackupType
	for range 6 {
		e := s.backup(domain.BackupOptions{BackupType: domain.Incremental, FullEvery: 2})
		s.requireGood(e)
		kinds = append(kinds, e.BackupType)
		require.Equal(t, []string{"a table was skipped"}, e.Metadata.Warnings)
	}
	require.Equal(t, []domain.BackupType{domain.Full, domain.Incremental, domain.Incremental, domain.Full, domain.Incremental, domain.Incremental}, kinds)
}

func TestAFullIsMadeAndToldWhereNothingCanBeBuiltOn(t *testing.T) {
	cases := map[string]struct {
		given   func(s *site, parent db.Execution)
		options domain.BackupOptions
		says    string
	}{
		"the parent's manifest is gone": {says: "manifest can not be read", given: func(s *site, parent db.Execution) {
			require.NoError(s.t, s.store.Delete(s.t.Context(), parent.Metadata.ManifestPath))
		}},
		"the parent's manifest was edited": {says: "manifest can not be read", given: func(s *site, parent db.Execution) {
			s.edit(parent.Metadata.ManifestPath, `"datasource_name": "orders"`, `"datasource_name": "orderz"`)
		}},
		"the parent's manifest is another one than was recorded": {says: "manifest can not be read", given: func(s *site, parent db.Execution) {
			dbtest.Execute(s.t, s.url, `UPDATE backup_executions SET metadata = metadata || '{"manifest_sha256": "00"}' WHERE id = $1`, parent.ID)
		}},
		"the parent is on another storage location": {says: "another storage location", given: func(s *site, _ db.Execution) {
			s.job.StorageLocationID = s.location("/other")
		}},
		"the installation has another key": {says: "encrypted for other recipients", given: func(s *site, _ db.Execution) {
			dbtest.Execute(s.t, s.url, "DELETE FROM encryption_keys WHERE purpose = 'age_identity'")
			s.d = dbtest.Open(s.t, s.url)
		}},
		"encryption was switched off": {says: "encrypted for other recipients", options: domain.BackupOptions{Encryption: new(bool)}},
		"another compression":         {says: "compressed with zstd", options: domain.BackupOptions{Compression: domain.CompressionGzip}},
		"its chunks are cut in another way": {says: "are not cut as this version cuts them", given: func(s *site, parent db.Execution) {
			s.recut(parent)
		}},
		"a verification found it damaged": {says: "none of the job's earlier backups", given: func(s *site, parent db.Execution) {
			require.NoError(s.t, s.d.SetVerification(s.t.Context(), parent.ID, domain.Verification{Mode: domain.VerifyFull}))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.source.fill(1, 4*mib)
			parent := s.good(domain.Full)
			if c.given != nil {
				c.given(s, parent)
			}
			options := c.options
			options.BackupType, options.Verify = domain.Incremental, domain.VerifyFull
			made := s.backup(options)
			s.requireGood(made)
			require.Equal(t, domain.Full, made.BackupType)
			require.Equal(t, domain.ID8(made.ID), made.Generation)
			require.Nil(t, made.ParentExecutionID)
			require.Contains(t, made.Metadata.FullReason, c.says)
			require.Equal(t, []string{made.Metadata.FullReason, "a table was skipped"}, made.Metadata.Warnings)
			require.Contains(t, logged(made), "warning: a full backup is made where incremental was asked for: "+made.Metadata.FullReason)

			next := s.backup(options)
			s.requireGood(next)
			require.Equal(t, made.ID, *next.ParentExecutionID, "the next one builds on it")
		})
	}
}

func TestWhatIsMissingOfTheParentIsStoredAfresh(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 20*mib)
	parent := s.good(domain.Full)
	m := s.requireGood(parent)
	gone, cut := m.ObjectKey(2), m.ObjectKey(5)
	require.NoError(t, s.store.Delete(t.Context(), gone))
	require.NoError(t, s.store.Put(t.Context(), cut, strings.NewReader("short"), 5))

	child := s.good(domain.Incremental)
	require.Equal(t, parent.ID, *child.ParentExecutionID)
	require.Equal(t, int64(len(m.Objects)-2), child.Metadata.ReusedChunks)
}

func TestAFailedIncrementTakesNothingOfItsParentWithIt(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 20*mib)
	parent := s.good(domain.Full)
	s.source.change("a row was changed")
	sibling := s.good(domain.Incremental)
	before := s.contents()
	for _, died := range []string{"", "discard.manifest_removed", "discard.objects_removed", "discard.rows_removed"} {
		s.source.fill(2, 20*mib)
		s.source.refused, s.dies[died] = failure.ConfigInvalid, 1
		failed := s.backup(kind(domain.Incremental))
		require.Equal(t, domain.Failed, failed.Status)
		require.Equal(t, sibling.ID, *failed.ParentExecutionID)
		require.Positive(t, s.seen["discard.objects_removed"])
		require.Equal(t, before, s.contents(), "after a failed increment, died %q", died)
		rows, err := s.d.ListChunks(t.Context(), failed.ID)
		require.NoError(t, err)
		require.Empty(t, rows)
		s.source.refused = ""
	}
	s.source.fill(1, 20*mib)
	s.requireReads(parent, s.source.content())
	s.source.change("a row was changed")
	s.requireReads(sibling, s.source.content())
}

// Nothing can be built on a full that has not completed. Should it ever have been, its folder's name
// begins as the failed full's does, and it stays.
func TestAFailedFullRemovesItsOwnFoldersOnly(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 6*mib)
	s.source.refused = failure.ConfigInvalid
	e := s.queue(s.job, kind(domain.Full))
	directory := archive.ChunkDir(archive.DatasourceDir("orders", s.job.DatasourceID), e.Generation)
	own := []string{directory + "/00/00aa.zst.age", directory + "-2/00/00aa.zst.age"}
	others := []string{directory + "-11223344/00/00aa.zst.age", directory + "-11223344-2/00/00aa.zst.age", directory + "0/00/00aa.zst.age"}
	for _, key := range slices.Concat(own, others) {
		require.NoError(t, s.store.Put(t.Context(), key, strings.NewReader("x"), 1))
	}
	require.Equal(t, domain.Failed, s.run(e).Status)
	left := s.contents()
	for _, key := range own {
		require.NotContains(t, left, key)
	}
	for _, key := range others {
		require.Contains(t, left, key)
	}
	require.Len(t, left, len(others)+1, "and the repository document")
}

func TestADumpGoesOnWhereverItsWorkerDied(t *testing.T) {
	boundaries := []string{
		"dump.claimed", "dump.parent_claimed", "dump.manifest_path_recorded", "dump.batch_recorded", "dump.manifest_written",
		"dump.result_recorded", "dump.rows_recorded",
	}
	for _, boundary := range boundaries {
		t.Run(boundary, func(t *testing.T) {
			s := newSite(t)
			s.source.fill(1, 20*mib)
			full := s.good(domain.Full)
			s.source.change("a row was changed")
			s.dies[boundary], s.dies["dump.leftovers_removed"] = 1, 1
			puts := s.store.Calls(faulty.Put)
			increment := s.good(domain.Incremental)
			require.Zero(t, s.dies[boundary], "the boundary was never reached")
			require.Zero(t, s.dies["dump.leftovers_removed"])
			require.Equal(t, full.ID, *increment.ParentExecutionID)
			require.Equal(t, 1, increment.IncrementNumber)
			s.requireNothingElse(full, increment)
			m := s.requireGood(increment)
			own := len(m.Objects) - int(increment.Metadata.ReusedChunks)
			manifests := s.seen["dump.manifest_written"] - 1 // the full's
			require.Equal(t, own+manifests, s.store.Calls(faulty.Put)-puts, "a chunk was stored twice")
		})
	}
}

// A worker records what it stored now and then. What it stored after that is found too.
func TestWhatALostAttemptStoredAndDidNotRecordIsNotSentAgain(t *testing.T) {
	for name, options := range map[string]domain.BackupOptions{
		"encrypted": {}, "plain gzip": {Encryption: new(bool), Compression: domain.CompressionGzip},
		"plain lz4": {Encryption: new(bool), Compression: domain.CompressionLZ4},
		"as it is":  {Encryption: new(bool), Compression: domain.CompressionNone},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.source.fill(1, 48*mib) // half of it does not fit in memory, so some of it is stored when the tool dies
			s.source.refused, s.source.once = failure.Unreachable, true
			s.recordEvery = time.Hour // so that only the first chunk is recorded before the tool dies
			damaged, there := "", map[string]bool{}
			s.onSeen("dump.claimed", func() { // of the first attempt
				s.onSeen("dump.claimed", func() { // of the second
					recorded := s.recordedChunks()
					for key := range s.contents() {
						if !strings.Contains(key, "/chunks/") {
							continue
						}
						there[key] = true
						if id, _, _ := strings.Cut(path.Base(key), "."); !recorded[id] {
							damaged = key // of a recorded one the rows would be believed
						}
					}
					content := s.read(damaged)
					content[len(content)/2] ^= 1
					require.NoError(t, s.store.Put(context.Background(), damaged, bytes.NewReader(content), int64(len(content))))
				})
			})
			options.Verify = domain.VerifyFull
			e := s.backup(options)
			m := s.requireGood(e)
			s.requireNothingElse(e)
			require.Greater(t, len(there), 3)
			for i := range m.Objects {
				delete(there, m.ObjectKey(i))
			}
			require.Equal(t, map[string]bool{damaged: true}, there, "all is used but what is not what its name says")
			require.Contains(t, logged(e), "that a lost attempt had stored and not yet recorded")
		})
	}
}

// recordedChunks are the ids of all chunks that have a row.
func (s *site) recordedChunks() map[string]bool {
	recorded := map[string]bool{}
	executions, _, err := s.d.ListExecutions(context.Background(), db.ExecutionFilter{}, db.Page{})
	require.NoError(s.t, err)
	for _, e := range executions {
		rows, err := s.d.ListChunks(context.Background(), e.ID)
		require.NoError(s.t, err)
		for _, row := range rows {
			recorded[hex.EncodeToString(row.ID[:])] = true
		}
	}
	return recorded
}

func TestAFullThatWasBegunAsAnIncrementStaysOne(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 4*mib)
	parent := s.good(domain.Full)
	manifest := s.read(parent.Metadata.ManifestPath)
	require.NoError(t, s.store.Delete(t.Context(), parent.Metadata.ManifestPath))
	s.dies["dump.batch_recorded"], s.dies["dump.made_full"] = 1, 1
	e := s.queue(s.job, kind(domain.Incremental))
	made := s.run(e)
	require.NoError(t, s.store.Put(t.Context(), parent.Metadata.ManifestPath, bytes.NewReader(manifest), int64(len(manifest))))
	s.requireGood(made)
	require.Equal(t, domain.Full, made.BackupType)
	require.Len(t, made.Metadata.Warnings, 2)
	s.requireNothingElse(parent, made)
}

func TestAnIncrementWhoseParentIsLostMeanwhileBecomesAFull(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 4*mib)
	parent := s.good(domain.Full)
	s.source.fill(2, 4*mib)
	s.dies["dump.batch_recorded"] = 1
	s.onSeen("dump.batch_recorded", func() {
		require.NoError(t, s.store.Delete(context.Background(), parent.Metadata.ManifestPath))
	})
	made := s.good(domain.Incremental)
	require.Equal(t, domain.Full, made.BackupType)
	require.Contains(t, made.Metadata.FullReason, parent.ID)
	for key := range s.contents() {
		require.NotContains(t, key, parent.Generation+"-", "what the first attempt stored in the parent's generation")
	}
}

func TestTwoBackupsOfOneDatasourceAtTheSameTime(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.d.SetConcurrencySettings(t.Context(), domain.ConcurrencySettings{PerDatasource: 2}, ""))
	s.source.fill(1, 10*mib)
	second := s.newJob("hourly", s.job.DatasourceID, s.job.StorageLocationID)
	for _, k := range []domain.BackupType{domain.Full, domain.Incremental, domain.Differential} {
		s.source.change(string(k))
		s.source.meeting = new(sync.WaitGroup)
		s.source.meeting.Add(2)
		var ended [2]db.Execution
		var both sync.WaitGroup
		for i, job := range []db.BackupJob{s.job, second} {
			e := s.queue(job, kind(k))
			both.Go(func() { ended[i] = s.run(e) })
		}
		both.Wait()
		for i, e := range ended {
			s.requireGood(e)
			require.Equal(t, k, e.BackupType)
			require.NotEqual(t, ended[1-i].Generation, e.Generation, "two jobs share no object")
		}
	}
}

func TestAnIncrementStaysInTheDirectoryOfItsGenerationWhenTheDatasourceIsRenamed(t *testing.T) {
	s := newSite(t)
	s.source.fill(1, 4*mib)
	full := s.good(domain.Full)
	datasource, err := s.d.GetDatasource(t.Context(), s.job.DatasourceID)
	require.NoError(t, err)
	datasource.Name = "sales"
	_, err = s.d.UpdateDatasource(t.Context(), datasource)
	require.NoError(t, err)

	increment := s.good(domain.Incremental)
	directory := func(e db.Execution) string { return strings.SplitN(e.Metadata.ManifestPath, "/", 2)[0] }
	require.Equal(t, directory(full), directory(increment))
	require.Zero(t, increment.CompressedSizeBytes)
	require.True(t, strings.HasPrefix(directory(s.good(domain.Full)), "sales-"))
	require.Equal(t, "manifest.json", path.Base(increment.Metadata.ManifestPath))
}

// read is an object of the job's store.
func (s *site) read(key string) []byte {
	s.t.Helper()
	body, err := s.store.Get(s.t.Context(), key, 0, -1)
	require.NoError(s.t, err)
	content, err := io.ReadAll(body)
	require.NoError(s.t, err)
	return content
}

// edit changes an object by hand.
func (s *site) edit(key, from, to string) {
	s.t.Helper()
	content := s.read(key)
	require.Contains(s.t, string(content), from)
	content = bytes.ReplaceAll(content, []byte(from), []byte(to))
	require.NoError(s.t, s.store.Put(s.t.Context(), key, bytes.NewReader(content), int64(len(content))))
}

// recut writes the backup again with chunk sizes that no version since has used, as an older
// version would have written it.
func (s *site) recut(e db.Execution) {
	s.t.Helper()
	ctx := s.t.Context()
	_, recipient, err := s.d.AgeIdentity(ctx)
	require.NoError(s.t, err)
	secret, err := s.d.ChunkSecret(ctx, *e.DatasourceID, e.Generation)
	require.NoError(s.t, err)
	w, err := archive.NewWriter(ctx, archive.WriterOptions{
		Store: s.store, DatasourceDir: strings.SplitN(e.Metadata.ManifestPath, "/", 2)[0], Generation: e.Generation, Secret: secret,
		Params: archive.Params{Average: 64 << 10, Min: 16 << 10, Max: 256 << 10}, Compression: domain.CompressionZstd,
		Recipients: recipients(s.t, recipient),
	})
	require.NoError(s.t, err)
	require.NoError(s.t, w.WriteStream(ctx, archive.StreamMeta{Name: "main", Format: "bytes"}, bytes.NewReader(s.source.content())))
	result, err := w.Commit(ctx, archive.Header{
		ExecutionID: e.ID, DatasourceID: *e.DatasourceID, DatasourceName: "orders", DatasourceType: domain.Postgres, BackupType: domain.Full,
		StartedAt: e.CreatedAt,
	}, e.Metadata.ManifestPath)
	require.NoError(s.t, err)
	dbtest.Execute(s.t, s.url, `UPDATE backup_executions SET metadata = metadata || jsonb_build_object('manifest_sha256', $2::text) WHERE id = $1`,
		e.ID, result.ManifestSHA256)
}
