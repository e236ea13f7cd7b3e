package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// AuditEntry says who did what. Changes must hold no secret: mask them before.
type AuditEntry struct {
	ActorID    *string // nil for the system itself and for somebody not signed in
	ActorName  string
	Action     string // for example "datasource.update"
	Resource   string // for example "datasource"
	ResourceID string
	IP         string
	UserAgent  string
	RequestID  string // of the request that did it, "" for none
	Changes    map[string]any
}

// ErrNotAudited says that an entry could not be written into the audit trail; what it is about must not happen.
var ErrNotAudited = errors.New("the audit trail takes no entry")

// AddAudit appends an entry. Errors: ErrNotAudited. Call it in the transaction of the change, so that there is neither a
// change without its entry nor an entry without its change.
func (q *Queries) AddAudit(ctx context.Context, e AuditEntry) error {
	const op = "write the audit log"
	id, err := newID()
	if err != nil {
		return err
	}
	if e.Changes == nil {
		e.Changes = map[string]any{}
	}
	changes, err := json.Marshal(e.Changes)
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	if count, ok := ctx.Value(auditCount{}).(*atomic.Int64); ok {
		count.Add(1)
	}
	err = q.q.AddAudit(ctx, dbgen.AddAuditParams{
		ID: id, ActorID: e.ActorID, ActorName: cleanText(e.ActorName), Action: e.Action, Resource: e.Resource,
		ResourceID: e.ResourceID, IP: cleanText(e.IP), UserAgent: cleanText(e.UserAgent), RequestID: cleanText(e.RequestID), Changes: changes,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAudited, translate(op, err))
	}
	return nil
}

type auditCount struct{}

// CountAudits gives a context, and a function that tells how many entries were written under it.
func CountAudits(ctx context.Context) (context.Context, func() int64) {
	count := new(atomic.Int64)
	return context.WithValue(ctx, auditCount{}, count), count.Load
}
