package db

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// IdempotencyLife is how long an answer is given again.
const IdempotencyLife = 24 * time.Hour

// RequestHash is the SHA-256 of a request: its method, its address and its body.
type RequestHash [sha256.Size]byte

// Answer is what a request was answered.
type Answer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// Reservation is the outcome of ReserveKey.
type Reservation struct {
	ID      string  // of the key's row
	Fresh   bool    // the key was free and is the caller's now: AnswerKey or ReleaseKey must follow
	Same    bool    // the request is the one that holds the key
	Answer  *Answer // of that request; nil while there is none
	BeganAt time.Time
}

// ReserveKey takes an idempotency key of a user for a request, or says who has it. It must not be part
// of the transaction that the request is. Of several at once one gets the key.
func (d *DB) ReserveKey(ctx context.Context, userID, key string, hash RequestHash) (Reservation, error) {
	const op = "reserve an idempotency key"
	if err := d.q.SweepKeys(ctx); err != nil {
		return Reservation{}, translate(op, err)
	}
	id, err := idOr("")
	if err != nil {
		return Reservation{}, err
	}
	for {
		taken, err := d.q.ReserveKey(ctx, dbgen.ReserveKeyParams{ID: id, UserID: userID, Key: key, RequestHash: hash[:], LifeSeconds: IdempotencyLife.Seconds()})
		if err != nil {
			return Reservation{}, translate(op, err)
		}
		if taken == 1 {
			return Reservation{ID: id, Fresh: true, Same: true, BeganAt: time.Now()}, nil
		}
		row, err := d.q.GetReservedKey(ctx, dbgen.GetReservedKeyParams{UserID: userID, Key: key})
		if errors.Is(err, pgx.ErrNoRows) {
			continue // it was released between the two
		}
		if err != nil {
			return Reservation{}, translate(op, err)
		}
		found := Reservation{ID: row.ID, Same: bytes.Equal(row.RequestHash, hash[:]), BeganAt: row.CreatedAt}
		if row.Answer != nil && found.Same {
			found.Answer, err = d.openAnswer(row.ID, *row.Answer)
		}
		return found, err
	}
}

// AnswerKey stores the answer of the request that holds the key.
func (q *Queries) AnswerKey(ctx context.Context, id string, answer Answer) error {
	const op = "store an answer"
	text, err := json.Marshal(answer)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	return q.inSealingTx(ctx, func(q *Queries) error {
		envelope, err := q.sealer.seal(answerPlace(id), string(text))
		if err != nil {
			return err
		}
		return translate(op, q.q.AnswerKey(ctx, dbgen.AnswerKeyParams{ID: id, Answer: envelope}))
	})
}

// ReleaseKey gives a key back that has no answer: the request did nothing.
func (q *Queries) ReleaseKey(ctx context.Context, id string) error {
	return translate("release an idempotency key", q.q.ReleaseKey(ctx, id))
}

func (q *Queries) openAnswer(id, envelope string) (*Answer, error) {
	text, err := q.sealer.open(answerPlace(id), envelope)
	if err != nil {
		return nil, err
	}
	var answer Answer
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, failure.Wrap(failure.Corrupt, "read a stored answer", err, "")
	}
	return &answer, nil
}

func answerPlace(id string) place {
	return place{table: "idempotency_keys", rowID: id, field: "answer"}
}
