package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// AuditLog is an entry of the audit trail as clients see it.
type AuditLog struct {
	ID         string         `json:"id" format:"uuid"`
	ActorID    *string        `json:"actor_id" doc:"null for the system, for somebody who was not signed in, and when the account is gone"`
	ActorName  string         `json:"actor_name" doc:"Email of the account at that time"`
	Action     string         `json:"action" doc:"For example datasource.update"`
	Resource   string         `json:"resource" doc:"For example datasource"`
	ResourceID string         `json:"resource_id"`
	IP         string         `json:"ip"`
	UserAgent  string         `json:"user_agent"`
	RequestID  string         `json:"request_id" doc:"X-Request-Id of the request that did it; empty for what no request did"`
	Changes    map[string]any `json:"changes" doc:"before and after where something changed; secrets show as ********"`
	CreatedAt  time.Time      `json:"created_at"`
}

// AuditFilter holds the query parameters that narrow the audit trail.
type AuditFilter struct {
	Actor      string    `query:"actor" format:"id" maxLength:"254" doc:"Id of a user, or the email that an entry names"`
	Action     string    `query:"action" maxLength:"100"`
	Resource   string    `query:"resource" maxLength:"100"`
	ResourceID string    `query:"resource_id" format:"id" maxLength:"200"`
	From       time.Time `query:"from" doc:"At this time or later (RFC 3339)"`
	To         time.Time `query:"to" doc:"Before this time (RFC 3339)"`
}

const (
	auditPath     = "/api/audit-logs"
	ndjson        = "application/x-ndjson"
	exportTimeout = time.Minute // for one page of an export to be taken by the client
)

func (s *server) registerAuditLogs() {
	tags := []string{"Audit"}
	register(s, requires(auth.AuditRead), huma.Operation{
		OperationID: "list-audit-logs", Method: http.MethodGet, Path: auditPath, Tags: tags,
		Summary: "The audit trail, newest first", Description: "Who changed what, signed in, failed to, or was refused. Nothing in it can be changed or deleted.",
	}, s.listAuditLogs)
	export := huma.Operation{
		OperationID: "export-audit-logs", Method: http.MethodGet, Path: auditPath + "/export", Tags: tags,
		Summary:     "Export the audit trail as NDJSON",
		Description: "One AuditLog a line, newest first, streamed. The export itself is audited, and is not in it. A stream that breaks off ends without a last newline after a whole line.",
	}
	export.Responses = map[string]*huma.Response{"200": {
		Description: "One AuditLog a line",
		Content:     map[string]*huma.MediaType{ndjson: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	register(s, requires(auth.AuditRead), export, s.exportAuditLogs)
}

func (s *server) listAuditLogs(ctx context.Context, in *struct {
	AuditFilter
	Paging
}) (*body[page[AuditLog]], error) {
	rows, next, err := s.db.ListAudit(ctx, in.filter(), in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewAudit), nil
}

// exportAuditLogs streams page after page, so that a trail of any length takes bounded memory.
func (s *server) exportAuditLogs(ctx context.Context, in *AuditFilter) (*huma.StreamResponse, error) {
	filter := in.filter()
	if filter.To.IsZero() {
		filter.To = time.Now()
	}
	entry := audited(ctx, "audit.export", "audit_log", "", map[string]any{"filter": map[string]any{
		"actor": in.Actor, "action": in.Action, "resource": in.Resource, "resource_id": in.ResourceID, "from": in.From, "to": filter.To,
	}})
	if err := s.db.AddAudit(ctx, entry); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", ndjson)
		out.SetHeader("Content-Disposition", `attachment; filename="audit-logs.ndjson"`)
		out.SetStatus(http.StatusOK)
		if err := s.writeAudit(out, filter); err != nil {
			s.log.WarnContext(out.Context(), "export of the audit trail ended early", "error", err)
			// The status is sent: only a connection that breaks tells the client that the rest is missing.
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

func (s *server) writeAudit(out huma.Context, filter db.AuditFilter) error {
	encoder := json.NewEncoder(out.BodyWriter())
	var control *http.ResponseController
	if w, ok := out.BodyWriter().(http.ResponseWriter); ok {
		control = http.NewResponseController(w)
	}
	for page := (db.Page{Limit: db.MaxPageSize}); ; {
		rows, next, err := s.db.ListAudit(out.Context(), filter, page)
		if err != nil {
			return err
		}
		if control != nil {
			// A writer that knows no deadlines (tests) still streams.
			_ = control.SetWriteDeadline(time.Now().Add(exportTimeout))
		}
		for _, row := range rows {
			if err := encoder.Encode(viewAudit(row)); err != nil {
				return err
			}
		}
		if control != nil {
			if err := control.Flush(); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.Cursor = next
	}
}

func (f AuditFilter) filter() db.AuditFilter {
	out := db.AuditFilter{Action: f.Action, Resource: f.Resource, ResourceID: f.ResourceID, From: f.From, To: f.To}
	if _, err := uuid.Parse(f.Actor); err == nil {
		out.ActorID = f.Actor
	} else {
		out.ActorName = f.Actor
	}
	return out
}

func viewAudit(row db.AuditRecord) AuditLog {
	out := AuditLog{
		ID: row.ID, ActorID: row.ActorID, ActorName: row.ActorName, Action: row.Action, Resource: row.Resource, ResourceID: row.ResourceID,
		IP: row.IP, UserAgent: row.UserAgent, RequestID: row.RequestID, CreatedAt: row.CreatedAt,
	}
	// The database takes nothing but objects; what could not be read back shows as none.
	_ = json.Unmarshal(row.Changes, &out.Changes)
	return out
}
