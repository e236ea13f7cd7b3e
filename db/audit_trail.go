package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// AuditRecord is an entry of the audit trail as it is kept.
type AuditRecord struct {
	ID         string
	ActorID    *string
	ActorName  string
	Action     string
	Resource   string
	ResourceID string
	IP         string
	UserAgent  string
	Changes    []byte // a JSON object
	CreatedAt  time.Time
	RequestID  string // "" for what no request did
}

// AuditFilter narrows the audit trail; zero fields do not.
type AuditFilter struct {
	ActorID    string
	ActorName  string
	Action     string
	Resource   string
	ResourceID string
	From, To   time.Time // From <= created < To
}

// ListAudit reads one page of the audit trail, newest first. Errors: ErrInvalidCursor.
func (q *Queries) ListAudit(ctx context.Context, filter AuditFilter, page Page) ([]AuditRecord, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListAudit(ctx, dbgen.ListAuditParams{
		ActorID: unlessZero(filter.ActorID), ActorName: unlessZero(cleanText(filter.ActorName)), Action: unlessZero(cleanText(filter.Action)),
		Resource: unlessZero(cleanText(filter.Resource)), ResourceID: unlessZero(cleanText(filter.ResourceID)),
		CreatedFrom: unlessZero(filter.From), CreatedTo: unlessZero(filter.To),
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list the audit trail", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.AuditLog) (time.Time, string) { return r.CreatedAt, r.ID })
	records, err := convert(rows, func(r dbgen.AuditLog) (AuditRecord, error) { return AuditRecord(r), nil })
	return records, next, err
}

// GetAudit reads one entry. Errors: ErrNotFound.
func (q *Queries) GetAudit(ctx context.Context, id string) (AuditRecord, error) {
	op := "read audit entry " + id
	if err := checkID(op, id); err != nil {
		return AuditRecord{}, err
	}
	row, err := q.q.GetAudit(ctx, id)
	return AuditRecord(row), translate(op, err)
}
