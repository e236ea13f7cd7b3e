package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/middleware"
	"github.com/dataguardian/dataguardian/db"
)

// usedToken is the key of the API token by which something was done, in its audit entry.
const usedToken = "api_token"

// audited is an audit entry about what the caller of ctx does. changes must hold no secret: pass
// the masked views that clients see.
func audited(ctx context.Context, action, resource, id string, changes map[string]any) db.AuditEntry {
	request, who := middleware.RequestOf(ctx), principalOf(ctx)
	entry := db.AuditEntry{
		ActorName: "anonymous", Action: action, Resource: resource, ResourceID: id,
		IP: request.IP, UserAgent: request.UserAgent, RequestID: request.ID, Changes: changes,
	}
	if who.User.ID != "" {
		entry.ActorID, entry.ActorName = &who.User.ID, who.User.Email
	}
	if who.Token != nil {
		entry.Changes = maps.Clone(changes)
		if entry.Changes == nil {
			entry.Changes = map[string]any{}
		}
		entry.Changes[usedToken] = map[string]any{"id": who.Token.ID, "name": who.Token.Name}
	}
	noteAudit(ctx, entry)
	return entry
}

// notAudited is what the log says of a change that left no trace. It is a defect of the operation: tests look
// for it after every call that they make.
const notAudited = "an operation left no audit entry"

// looksOnly names the operations that are no GET and leave everything as it is, each with how that is.
var looksOnly = map[string]string{
	"preview-retention": "it calculates what a policy would delete",
}

// traced runs an operation and sees to it that, when it changed something, that was audited.
func traced[I, O any](s *server, op *huma.Operation, handler func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	if op.Method == http.MethodGet || looksOnly[op.OperationID] != "" {
		return handler
	}
	id := op.OperationID
	return func(ctx context.Context, input *I) (*O, error) {
		ctx, count := db.CountAudits(ctx)
		output, err := handler(ctx, input)
		if err == nil && count() == 0 {
			s.log.ErrorContext(ctx, notAudited, "operation", id)
		}
		return output, err
	}
}

// changed is the part of an audit entry that tells what an update changed: the fields that differ,
// before and after. Both are views as clients see them, so secrets are masked; a secret that was
// replaced by another shows as the mask on both sides, and is named in replaced.
func changed(before, after any, replaced ...string) (map[string]any, error) {
	old, err := fields(before)
	if err != nil {
		return nil, err
	}
	fresh, err := fields(after)
	if err != nil {
		return nil, err
	}
	was, is := map[string]any{}, map[string]any{}
	for name, value := range fresh {
		if same(old[name], value) {
			continue
		}
		was[name], is[name] = old[name], value
	}
	out := map[string]any{"before": was, "after": is}
	if len(replaced) > 0 {
		out["secrets_replaced"] = replaced
	}
	return out, nil
}

func fields(view any) (map[string]any, error) {
	text, err := json.Marshal(view)
	if err != nil {
		return nil, fmt.Errorf("encode for the audit trail: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("decode for the audit trail: %w", err)
	}
	delete(out, "updated_at")
	return out, nil
}

func same(a, b any) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && string(left) == string(right)
}
