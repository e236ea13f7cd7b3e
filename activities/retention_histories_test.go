package activities_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/retention"
)

// pastBackup is a backup of a random history: which of the objects of its generation it refers to.
type pastBackup struct {
	domain.KeptBackup
	generation string
	chunks     []int
}

// pastOf makes the backups of one job: fulls, and increments that reuse some objects of the one before.
func pastOf(r *rand.Rand) []pastBackup {
	var out []pastBackup
	at, generation, next := time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC), "", 0
	for i := range 2 + r.IntN(8) {
		at = at.Add(time.Duration(1+r.IntN(72)) * time.Hour)
		b := pastBackup{KeptBackup: domain.KeptBackup{ID: uuid.NewString(), At: at, Good: r.IntN(10) > 0, Pinned: r.IntN(15) == 0}}
		if i == 0 || r.IntN(4) == 0 {
			generation = b.ID[:8]
		} else if before := out[i-1]; before.generation == generation {
			b.chunks = slices.DeleteFunc(slices.Clone(before.chunks), func(int) bool { return r.IntN(3) == 0 })
		}
		for range 1 + r.IntN(3) {
			b.chunks, next = append(b.chunks, next), next+1
		}
		b.generation = generation
		out = append(out, b)
	}
	return out
}

// A thousand random histories, of which a policy removes something: what the deletion then takes from the storage is nothing that a
// kept backup refers to, be it an increment of what went, and all that none does. Backups go one after the other or together.
func TestIncrementsAreWholeAfterAThousandRetentions(t *testing.T) {
	const seed, histories = 11, 1000
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // histories, no secrets
	s := newSite(t)
	conn, err := pgx.Connect(t.Context(), s.url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()

	var kept, gone []pastBackup
	together := map[string]bool{}
	for range histories {
		past := pastOf(r)
		policy := domain.RetentionPolicy{AutoDelete: true, MaxBackups: 1 + r.IntN(4), KeepDaily: r.IntN(3), KeepWeekly: r.IntN(2)}
		judged := make([]domain.KeptBackup, len(past))
		for i, b := range past {
			judged[i] = b.KeptBackup
		}
		verdicts := map[string]bool{}
		good, goodKept := 0, 0
		for _, v := range retention.Apply(policy, time.UTC, past[len(past)-1].At, judged) {
			verdicts[v.ID] = v.Keep
			if v.Good {
				good++
				if v.Keep {
					goodKept++
				}
			}
		}
		require.GreaterOrEqual(t, goodKept, min(good, policy.MaxBackups), "never fewer than the policy keeps, and never the last good one")
		atOnce := r.IntN(2) == 0
		for _, b := range past {
			if verdicts[b.ID] {
				kept = append(kept, b)
			} else {
				gone, together[b.ID] = append(gone, b), atOnce
			}
		}
	}
	require.Greater(t, len(gone), histories, "most histories lose something")
	storeHistories(t, conn, s.job.StorageLocationID, slices.Concat(kept, gone))

	removed := map[string]bool{}
	wave := func(of func(i int, b pastBackup) bool) {
		t.Helper()
		var ids []string
		for i, b := range gone {
			if of(i, b) {
				ids = append(ids, b.ID)
			}
		}
		_, err := conn.Exec(t.Context(), `UPDATE backup_executions SET deleting_at = now() WHERE id = ANY($1::uuid[])`, ids)
		require.NoError(t, err)
		for _, id := range ids {
			for _, c := range removable(t, s.d, id, s.job.StorageLocationID) {
				removed[c.Folder+string(c.ID[:])] = true
			}
			require.NoError(t, s.d.RemoveExecution(t.Context(), id))
		}
	}
	wave(func(_ int, b pastBackup) bool { return together[b.ID] })
	wave(func(i int, b pastBackup) bool { return !together[b.ID] && i%2 == 0 })
	wave(func(i int, b pastBackup) bool { return !together[b.ID] && i%2 == 1 })

	needed := map[string]bool{}
	for _, b := range kept {
		for _, c := range b.chunks {
			key := objectOf(b.generation, c)
			needed[key] = true
			require.False(t, removed[key], "chunk %d of kept backup %s", c, b.ID)
		}
	}
	for _, b := range gone {
		for _, c := range b.chunks {
			key := objectOf(b.generation, c)
			require.True(t, needed[key] || removed[key], "chunk %d of backup %s, which nobody needs", c, b.ID)
		}
	}
	require.Equal(t, len(kept), dbtest.Count(t, s.url, `SELECT count(*) FROM backup_executions`))
}

func chunkID(n int) [32]byte { return sha256.Sum256(fmt.Append(nil, n)) }

func objectOf(generation string, n int) string {
	id := chunkID(n)
	return generation + string(id[:])
}

// removable are the objects that the deletion of a backup removes.
func removable(t *testing.T, d *db.DB, id, storageID string) (out []db.RemovableChunk) {
	t.Helper()
	page, err := d.PageRemovable(t.Context(), id, storageID, nil, 1000)
	require.NoError(t, err)
	for _, c := range page {
		if !c.Referenced {
			out = append(out, c)
		}
	}
	return out
}

// storeHistories writes the rows of completed backups and of their chunks.
func storeHistories(t *testing.T, conn *pgx.Conn, storageID string, all []pastBackup) {
	t.Helper()
	var ids, generations []string
	var times []time.Time
	var chunks [][]any
	for _, b := range all {
		ids, generations, times = append(ids, b.ID), append(generations, b.generation), append(times, b.At)
		for _, c := range b.chunks {
			id := chunkID(c)
			chunks = append(chunks, []any{uuid.MustParse(b.ID), id[:], b.generation, int64(1), int64(1), id[:], true})
		}
	}
	_, err := conn.Exec(t.Context(), `INSERT INTO backup_executions (id, storage_location_id, status, generation, metadata, started_at, finished_at, created_at)
		SELECT id, $1, 'completed', generation, '{"operation": "backup", "trigger": "schedule"}', at, at, at
		FROM unnest($2::uuid[], $3::text[], $4::timestamptz[]) AS b (id, generation, at)`, storageID, ids, generations, times)
	require.NoError(t, err)
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"backup_chunks"},
		[]string{"execution_id", "chunk_id", "generation", "plain_bytes", "stored_bytes", "checksum", "uploaded"}, pgx.CopyFromRows(chunks))
	require.NoError(t, err)
}
