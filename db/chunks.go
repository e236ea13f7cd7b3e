package db

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Chunk is one row for each distinct chunk that an execution refers to.
type Chunk struct {
	ID          [32]byte // keyed hash of the plaintext
	Generation  string   // folder of chunks/ that holds the object: a generation, or one more of its dump's attempts
	PlainBytes  int64
	StoredBytes int64
	Checksum    [32]byte // SHA-256 of the stored object
	Uploaded    bool
}

// incomingChunks is filled by COPY, which can not skip rows that are there already; an INSERT from
// it can. One a connection, so that the catalog is not changed for every batch.
const (
	makeIncomingChunks = `CREATE TEMP TABLE IF NOT EXISTS incoming_chunks (
		chunk_id bytea, generation text, plain_bytes bigint, stored_bytes bigint, checksum bytea, uploaded boolean
	) ON COMMIT DELETE ROWS`
	emptyIncomingChunks = `DELETE FROM incoming_chunks`
	takeIncomingChunks  = `INSERT INTO backup_chunks (execution_id, chunk_id, generation, plain_bytes, stored_bytes, checksum, uploaded)
		SELECT DISTINCT ON (chunk_id) $1::uuid, chunk_id, generation, plain_bytes, stored_bytes, checksum, uploaded
		FROM incoming_chunks ORDER BY chunk_id, uploaded DESC
		ON CONFLICT (execution_id, chunk_id) DO UPDATE
			SET generation = EXCLUDED.generation, stored_bytes = EXCLUDED.stored_bytes, checksum = EXCLUDED.checksum, uploaded = true
			WHERE EXCLUDED.uploaded`
)

// AddChunks records a batch with COPY. Of a chunk that the execution has already, an upload replaces
// what was recorded: a later attempt stored it anew because it did not find the earlier object. Errors: ReferenceError for an unknown
// execution.
func (q *Queries) AddChunks(ctx context.Context, executionID string, chunks []Chunk) error {
	if len(chunks) == 0 {
		return nil
	}
	op := "record the chunks of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		for _, statement := range []string{makeIncomingChunks, emptyIncomingChunks} {
			if _, err := q.conn.Exec(ctx, statement); err != nil {
				return translate(op, err)
			}
		}
		columns := []string{"chunk_id", "generation", "plain_bytes", "stored_bytes", "checksum", "uploaded"}
		rows := pgx.CopyFromSlice(len(chunks), func(i int) ([]any, error) {
			c := &chunks[i]
			return []any{c.ID[:], c.Generation, c.PlainBytes, c.StoredBytes, c.Checksum[:], c.Uploaded}, nil
		})
		if _, err := q.conn.CopyFrom(ctx, pgx.Identifier{"incoming_chunks"}, columns, rows); err != nil {
			return translate(op, err)
		}
		_, err := q.conn.Exec(ctx, takeIncomingChunks, executionID)
		return translate(op, err)
	})
}

// ListChunks reads every chunk of the execution, ordered by id: about 200 bytes of memory each.
func (q *Queries) ListChunks(ctx context.Context, executionID string) ([]Chunk, error) {
	op := "list the chunks of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return nil, err
	}
	rows, err := q.q.ListChunks(ctx, executionID)
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.ListChunksRow) (Chunk, error) { return chunk(dbgen.PageChunksRow(row)) })
}

// PageChunks reads one page, ordered by chunk id, and the cursor of the next. Errors:
// ErrInvalidCursor.
func (q *Queries) PageChunks(ctx context.Context, executionID string, page Page) ([]Chunk, string, error) {
	op := "list the chunks of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return nil, "", err
	}
	var after []byte
	if page.Cursor != "" {
		var err error
		if after, err = base64.RawURLEncoding.DecodeString(page.Cursor); err != nil || len(after) != 32 {
			return nil, "", fmt.Errorf("%w: no chunk id in it", ErrInvalidCursor)
		}
	}
	rows, err := q.q.PageChunks(ctx, dbgen.PageChunksParams{ExecutionID: executionID, AfterID: after, PageSize: page.fetch()})
	if err != nil {
		return nil, "", translate(op, err)
	}
	var next string
	if len(rows) > page.size() {
		rows = rows[:page.size()]
		next = base64.RawURLEncoding.EncodeToString(rows[len(rows)-1].ChunkID)
	}
	chunks, err := convert(rows, chunk)
	return chunks, next, err
}

// DeleteAllChunks forgets every chunk of the execution.
func (q *Queries) DeleteAllChunks(ctx context.Context, executionID string) error {
	op := "forget the chunks of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return err
	}
	return translate(op, q.q.DeleteAllChunks(ctx, executionID))
}

func chunk(row dbgen.PageChunksRow) (Chunk, error) {
	if len(row.ChunkID) != 32 || len(row.Checksum) != 32 {
		return Chunk{}, failure.New(failure.Corrupt, "read a chunk row", "its id or checksum is not 32 bytes", "")
	}
	return Chunk{
		ID: [32]byte(row.ChunkID), Generation: row.Generation, PlainBytes: row.PlainBytes,
		StoredBytes: row.StoredBytes, Checksum: [32]byte(row.Checksum), Uploaded: row.Uploaded,
	}, nil
}

// ForgetChunks is DeleteAllChunks by an attempt of the dump, as long as no later one holds it and the backup is
// not completed. Errors: ErrSuperseded, ErrExecutionFinished, ErrNotFound.
func (q *Queries) ForgetChunks(ctx context.Context, executionID string, attempt int32) error {
	op := "forget the chunks of execution " + executionID
	if err := checkID(op, executionID); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		// Under the lock of the row no later attempt can begin.
		row, err := q.q.LockExecution(ctx, executionID)
		if err != nil {
			return translate(op, err)
		}
		err = q.checkHolder(ctx, op, executionID, attempt)
		if err != nil && (!errors.Is(err, ErrExecutionFinished) || row.Status == domain.Completed) {
			return err
		}
		return q.DeleteAllChunks(ctx, executionID)
	})
}
