package api

import (
	"context"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// announce writes the audit entry of something that is about to be done outside of the database (a workflow that is
// cancelled, files that are deleted), in a transaction of its own and before it is asked for: the two can not be
// undone together, and so nothing is done that has no entry. What was announced and then not done has a second entry,
// by notDone. What changes rows besides is audited in their transaction instead.
func (s *server) announce(ctx context.Context, entry db.AuditEntry) error {
	return s.db.AddAudit(ctx, entry)
}

// notDone adds to the trail that what was announced was not done, and why, and returns the cause for the answer. The
// entry does not end with the client's connection; one that can not be written is in the log.
func (s *server) notDone(ctx context.Context, announced db.AuditEntry, cause error) error {
	lasting, stop := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer stop()
	entry := announced
	entry.Action += "_failed"
	entry.Changes = map[string]any{"reason": failure.Redact(cause.Error())}
	if token, by := announced.Changes[usedToken]; by {
		entry.Changes[usedToken] = token
	}
	if err := s.db.AddAudit(lasting, entry); err != nil {
		s.log.ErrorContext(lasting, "that something was not done could not be audited", "action", entry.Action, "resource_id", entry.ResourceID, "error", err)
	}
	return cause
}
