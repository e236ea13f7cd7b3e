package db

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Finish is how an execution ended.
type Finish struct {
	Status       domain.ExecutionStatus // completed, failed or cancelled
	ErrorMessage string
	FailureClass string
	Hint         string
}

// FinishExecution ends an execution that has not ended; the first end stays, so a second call does
// nothing. Errors: ErrNotFound.
func (q *Queries) FinishExecution(ctx context.Context, id string, f Finish) error {
	_, err := q.finish(ctx, "finish execution "+id, id, f, false)
	return err
}

// FinishQueued ends an execution that no worker has begun, and reports whether it did. One that is
// running or has ended stays as it is. Errors: ErrNotFound.
func (q *Queries) FinishQueued(ctx context.Context, id string, f Finish) (closed bool, err error) {
	return q.finish(ctx, "close queued execution "+id, id, f, true)
}

func (q *Queries) finish(ctx context.Context, op, id string, f Finish, onlyQueued bool) (bool, error) {
	if err := checkID(op, id); err != nil {
		return false, err
	}
	if !f.Status.Finished() {
		return false, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("status %q is not an end", f.Status), "")
	}
	outcome, err := json.Marshal(struct {
		FailureClass string `json:"failure_class,omitempty"`
		Hint         string `json:"hint,omitempty"`
	}{f.FailureClass, cleanText(f.Hint)})
	if err != nil {
		return false, failure.Wrap(failure.Unknown, op, err, "")
	}
	n, err := q.q.FinishExecution(ctx, dbgen.FinishExecutionParams{
		ID: id, Status: f.Status, ErrorMessage: cleanText(f.ErrorMessage), Outcome: outcome, OnlyQueued: onlyQueued,
	})
	if err != nil || n > 0 {
		return n > 0, translate(op, err)
	}
	_, err = q.q.ExecutionStatus(ctx, id)
	return false, translate(op, err)
}
