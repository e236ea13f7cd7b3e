package db_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// numbered makes chunks whose ids sort by number.
func numbered(from, to int) []db.Chunk {
	var chunks []db.Chunk
	for i := from; i < to; i++ {
		c := db.Chunk{Generation: "aabbccdd", PlainBytes: int64(i) * 3, StoredBytes: int64(i), Uploaded: true}
		binary.BigEndian.PutUint64(c.ID[:], uint64(i))
		binary.BigEndian.PutUint64(c.Checksum[:], uint64(i)+1)
		chunks = append(chunks, c)
	}
	return chunks
}

func TestChunksAreAddedOnceHoweverOftenTheyCome(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	batch := numbered(0, 100)
	require.NoError(t, d.AddChunks(t.Context(), e.ID, append(batch, batch[3], batch[3])))
	changed := numbered(90, 120) // stored anew by a later attempt
	for i := range changed {
		changed[i].Generation, changed[i].StoredBytes = "aabbccdd-2", changed[i].StoredBytes+1000
	}
	require.NoError(t, d.AddChunks(t.Context(), e.ID, changed))
	stored, err := d.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, append(numbered(0, 90), changed...), stored, "the last upload is what there is")

	other := newRunning(t, d, "other")
	require.NoError(t, d.AddChunks(t.Context(), other.ID, batch), "another execution may refer to the same chunks")
}

func TestAnUploadedChunkReplacesOneThatWasNot(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	planned := numbered(0, 1)
	planned[0].Uploaded, planned[0].StoredBytes = false, 0
	require.NoError(t, d.AddChunks(t.Context(), e.ID, planned))
	done := numbered(0, 1)
	done[0].StoredBytes = 77
	require.NoError(t, d.AddChunks(t.Context(), e.ID, done))
	require.NoError(t, d.AddChunks(t.Context(), e.ID, planned))
	stored, err := d.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, done, stored)
}

func TestChunksOfManyWritersAllArrive(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	for _, err := range together(16, func(i int) error { // more than connections; each batch overlaps the next
		return d.InTx(t.Context(), func(q *db.Queries) error {
			if err := q.AddChunks(t.Context(), e.ID, numbered(i*50, i*50+60)); err != nil {
				return err
			}
			return q.AddChunks(t.Context(), e.ID, numbered(i*50+60, i*50+70))
		})
	}) {
		require.NoError(t, err)
	}
	stored, err := d.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	require.Equal(t, numbered(0, 820), stored)
}

func TestChunksArePagedAndForgotten(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	all := numbered(0, 7)
	require.NoError(t, d.AddChunks(t.Context(), e.ID, all))
	first, next, err := d.PageChunks(t.Context(), e.ID, db.Page{Limit: 4})
	require.NoError(t, err)
	require.Equal(t, all[:4], first)
	second, next, err := d.PageChunks(t.Context(), e.ID, db.Page{Limit: 4, Cursor: next})
	require.NoError(t, err)
	require.Equal(t, all[4:], second)
	require.Empty(t, next)
	_, _, err = d.PageChunks(t.Context(), e.ID, db.Page{Cursor: "bm8"})
	require.ErrorIs(t, err, db.ErrInvalidCursor)

	require.NoError(t, d.DeleteAllChunks(t.Context(), e.ID))
	left, err := d.ListChunks(t.Context(), e.ID)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheChunkSecretIsTheSameForEveryAttempt(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	secrets := make([][32]byte, 8)
	for _, err := range together(len(secrets), func(i int) (err error) {
		secrets[i], err = d.ChunkSecret(t.Context(), *e.DatasourceID, e.Generation)
		return err
	}) {
		require.NoError(t, err)
	}
	for _, secret := range secrets {
		require.Equal(t, secrets[0], secret)
	}
	require.NotZero(t, secrets[0])
	finish(t, d, e.ID, domain.Failed)
	next := newRunning(t, d, "other")
	other, err := d.ChunkSecret(t.Context(), *next.DatasourceID, next.Generation)
	require.NoError(t, err)
	require.NotEqual(t, secrets[0], other)
}
