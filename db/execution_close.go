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
	Warning      string // of one that completed, added to metadata.warnings: what went wrong after its work; "" for none
}

// FinishExecution ends an execution that has not ended, writes the notification about it, and lets in who waits for its
// place; the first end stays, so a second call does nothing. Errors: ErrNotFound.
func (q *Queries) FinishExecution(ctx context.Context, id string, f Finish) error {
	_, err := q.finish(ctx, "finish execution "+id, id, f, "")
	return err
}

// FinishWhile ends an execution that is still in state from (queued or running), and reports whether
// it did; one in any other state stays as it is. Errors: ErrNotFound.
func (q *Queries) FinishWhile(ctx context.Context, id string, from domain.ExecutionStatus, f Finish) (closed bool, err error) {
	return q.finish(ctx, fmt.Sprintf("finish %s execution %s", from, id), id, f, from)
}

// finish ends an execution that has not ended, from any state or only one.
func (q *Queries) finish(ctx context.Context, op, id string, f Finish, from domain.ExecutionStatus) (bool, error) {
	if err := checkID(op, id); err != nil {
		return false, err
	}
	if !f.Status.Finished() {
		return false, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("status %q is not an end", f.Status), "")
	}
	var n int64
	err := q.inTx(ctx, func(q *Queries) error {
		limits, invalid := q.ConcurrencySettings(ctx)
		if invalid != nil && failure.ClassOf(invalid) != failure.ConfigInvalid {
			return invalid
		}
		if err := q.q.LockQueue(ctx); err != nil { // before the row, as who begins does
			return translate(op, err)
		}
		outcome, err := q.outcomeOf(ctx, id, f)
		if err != nil {
			return err
		}
		n, err = q.q.FinishExecution(ctx, dbgen.FinishExecutionParams{
			ID: id, Status: f.Status, ErrorMessage: cleanText(f.ErrorMessage), Outcome: outcome, OnlyFrom: unlessZero(from),
		})
		if err == nil && n > 0 && f.Status == domain.Completed {
			err = q.q.MarkIfDamaged(ctx, id)
		}
		if err != nil || n == 0 {
			return translate(op, err)
		}
		if err := q.tellEnd(ctx, id, f.Warning != ""); err != nil || invalid != nil {
			return err // nobody is let in by limits that can not be read, but what has ended has ended
		}
		return q.admit(ctx, limits)
	})
	if err != nil || n > 0 {
		return n > 0 && err == nil, err
	}
	_, err = q.q.ExecutionStatus(ctx, id)
	return false, translate(op, err)
}

// outcomeOf is what the end adds to the execution's metadata.
func (q *Queries) outcomeOf(ctx context.Context, id string, f Finish) ([]byte, error) {
	outcome := struct {
		FailureClass string   `json:"failure_class,omitempty"`
		Hint         string   `json:"hint,omitempty"`
		Warnings     []string `json:"warnings,omitempty"`
	}{FailureClass: f.FailureClass, Hint: cleanText(f.Hint)}
	if f.Warning != "" {
		e, err := q.GetExecution(ctx, id)
		if err != nil {
			return nil, err
		}
		outcome.Warnings = append(e.Metadata.Warnings, cleanText(f.Warning))
	}
	text, err := json.Marshal(outcome)
	return text, failure.Wrap(failure.Unknown, "describe the end of execution "+id, err, "")
}
