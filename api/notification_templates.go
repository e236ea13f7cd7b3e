package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// TemplateText is the text of a template.
type TemplateText struct {
	Channel domain.ChannelType      `json:"channel" enum:"smtp,webhook,whatsapp"`
	Type    domain.NotificationType `json:"type" enum:"backup_success,backup_failed,connection_lost,connection_restored,storage_full,storage_unreachable,health_degraded,cleanup_completed,restore_success,restore_failed,sync_failed,sync_recovered,restore_drill_success,restore_drill_failed"`
	Subject string                  `json:"subject,omitempty" doc:"smtp and webhook; left out: the title" maxLength:"2000"`
	Body    string                  `json:"body" doc:"Go text/template; docs/notifications.md lists variables and functions" maxLength:"65536"`
	HTML    string                  `json:"html,omitempty" doc:"smtp: Go html/template; left out: the mail has text only" maxLength:"65536"`
}

// TemplateDocument is a new version of a template.
type TemplateDocument struct {
	TemplateText
	Activate *bool `json:"activate,omitempty" doc:"Default true"`
}

// NotificationTemplate is one version of a template.
type NotificationTemplate struct {
	ID string `json:"id" format:"uuid"`
	TemplateText
	Version   int32     `json:"version"`
	Active    bool      `json:"active" doc:"In use; where no version is, the built-in text is used"`
	CreatedAt time.Time `json:"created_at"`
}

// TemplateQuery narrows the list.
type TemplateQuery struct {
	Paging
	Channel domain.ChannelType      `query:"channel" enum:"smtp,webhook,whatsapp"`
	Type    domain.NotificationType `query:"type" enum:"backup_success,backup_failed,connection_lost,connection_restored,storage_full,storage_unreachable,health_degraded,cleanup_completed,restore_success,restore_failed,sync_failed,sync_recovered,restore_drill_success,restore_drill_failed"`
	Active  bool                    `query:"active" doc:"Only versions in use"`
}

// TemplateDefaults are the built-in texts, and what templates can use.
type TemplateDefaults struct {
	Templates   []TemplateText      `json:"templates" nullable:"false" doc:"One for each channel and type"`
	Variables   []string            `json:"variables" nullable:"false" doc:"Of all types together"`
	VariablesOf map[string][]string `json:"variables_of" doc:"Those that events of a type can have, by the type: a template for it may show these"`
	Functions   []string            `json:"functions" nullable:"false"`
}

// PreviewDocument is a template to be filled in. Without a body it is the one in use.
type PreviewDocument struct {
	Channel        domain.ChannelType      `json:"channel" enum:"smtp,webhook,whatsapp"`
	Type           domain.NotificationType `json:"type" enum:"backup_success,backup_failed,connection_lost,connection_restored,storage_full,storage_unreachable,health_degraded,cleanup_completed,restore_success,restore_failed,sync_failed,sync_recovered,restore_drill_success,restore_drill_failed"`
	Subject        string                  `json:"subject,omitempty" maxLength:"2000"`
	Body           string                  `json:"body,omitempty" doc:"Left out: the version in use, or the built-in text" maxLength:"65536"`
	HTML           string                  `json:"html,omitempty" maxLength:"65536"`
	NotificationID string                  `json:"notification_id,omitempty" format:"uuid" doc:"Fill in this notification; left out: the newest of the type, or a sample where there is none"`
}

// TemplatePreview is what would be sent.
type TemplatePreview struct {
	NotificationID string `json:"notification_id,omitempty" doc:"Left out: a sample"`
	Subject        string `json:"subject"`
	Text           string `json:"text"`
	HTML           string `json:"html,omitempty"`
	Characters     int    `json:"characters"`
	Limit          int    `json:"limit" doc:"Most characters on this channel; a longer text loses the end of the message first"`
}

func (s *server) registerNotificationTemplates() {
	tags, path := []string{"Notification templates"}, "/api/system/notification-templates"
	read, write := requires(auth.SystemRead, auth.NotificationsRead), requires(auth.SystemWrite)
	register(s, read, huma.Operation{
		OperationID: "list-notification-templates", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List versions of templates",
	}, s.listTemplates)
	register(s, read, huma.Operation{
		OperationID: "list-notification-template-defaults", Method: http.MethodGet, Path: path + "/defaults", Tags: tags, Summary: "List the built-in templates, variables and functions",
	}, s.templateDefaults)
	register(s, write, huma.Operation{
		OperationID: "create-notification-template", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Save a new version of a template",
		Description: "422 names a variable that does not exist where it stands or that events of the type never have, an unknown function and a wrong argument, with line and column, in whatever branch it is.", DefaultStatus: http.StatusCreated,
	}, s.createTemplate)
	register(s, read, huma.Operation{
		OperationID: "get-notification-template", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a version of a template",
		Errors: []int{http.StatusNotFound},
	}, s.getTemplate)
	register(s, write, huma.Operation{
		OperationID: "activate-notification-template", Method: http.MethodPost, Path: path + "/{id}/activate", Tags: tags, Summary: "Use this version",
		Errors: []int{http.StatusNotFound},
	}, s.activateTemplate)
	register(s, write, huma.Operation{
		OperationID: "disable-notification-template", Method: http.MethodPost, Path: path + "/{id}/disable", Tags: tags, Summary: "Do not use this version",
		Description: "The built-in text is used then.", Errors: []int{http.StatusNotFound},
	}, s.disableTemplate)
	register(s, read, huma.Operation{
		OperationID: "preview-notification-template", Method: http.MethodPost, Path: path + "/preview", Tags: tags, Summary: "Fill in a template with a real event",
		Errors: []int{http.StatusNotFound},
	}, s.previewTemplate)
}

func (s *server) listTemplates(ctx context.Context, in *TemplateQuery) (*body[page[NotificationTemplate]], error) {
	rows, next, err := s.db.ListTemplates(ctx, db.TemplateFilter{Channel: in.Channel, Type: in.Type, Active: in.Active}, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewTemplate), nil
}

func (s *server) templateDefaults(context.Context, *struct{}) (*body[TemplateDefaults], error) {
	out := TemplateDefaults{Variables: notify.Variables(""), VariablesOf: map[string][]string{}, Functions: notify.Functions()}
	for _, t := range domain.NotificationTypes() {
		out.VariablesOf[string(t)] = notify.Variables(t)
	}
	for _, channel := range domain.ChannelTypes() {
		for _, t := range domain.NotificationTypes() {
			built := notify.Builtin(channel, t)
			out.Templates = append(out.Templates, TemplateText{channel, t, built.Subject, built.Body, built.HTML})
		}
	}
	return &body[TemplateDefaults]{out}, nil
}

func (s *server) getTemplate(ctx context.Context, in *ByID) (*body[NotificationTemplate], error) {
	row, err := s.db.GetTemplate(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "notification template", in.ID)
	}
	return &body[NotificationTemplate]{viewTemplate(row)}, nil
}

func (s *server) createTemplate(ctx context.Context, in *body[TemplateDocument]) (*body[NotificationTemplate], error) {
	text := in.Body
	if err := (notify.Template{Subject: text.Subject, Body: text.Body, HTML: text.HTML}).Check(text.Channel, text.Type).OrNil(); err != nil {
		return nil, err
	}
	who := principalOf(ctx).User.ID
	var row db.Template
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		row, err = q.AddTemplate(ctx, db.Template{
			Channel: text.Channel, Type: text.Type, Subject: text.Subject, Body: text.Body, HTML: text.HTML,
			IsActive: text.Activate == nil || *text.Activate, CreatedBy: &who,
		})
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "notification_template.create", "notification_template", row.ID, map[string]any{"after": viewTemplate(row)}))
	})
	return &body[NotificationTemplate]{viewTemplate(row)}, err
}

func (s *server) activateTemplate(ctx context.Context, in *ByID) (*body[NotificationTemplate], error) {
	return s.switchTemplate(ctx, in.ID, "notification_template.activate", (*db.Queries).ActivateTemplate)
}

func (s *server) disableTemplate(ctx context.Context, in *ByID) (*body[NotificationTemplate], error) {
	return s.switchTemplate(ctx, in.ID, "notification_template.disable", (*db.Queries).DisableTemplate)
}

func (s *server) switchTemplate(ctx context.Context, id, action string, to func(*db.Queries, context.Context, string) (db.Template, error)) (*body[NotificationTemplate], error) {
	var row db.Template
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = to(q, ctx, id); err != nil {
			return missing(err, "notification template", id)
		}
		return q.AddAudit(ctx, audited(ctx, action, "notification_template", id,
			map[string]any{"channel": row.Channel, "type": row.Type, "version": row.Version}))
	})
	return &body[NotificationTemplate]{viewTemplate(row)}, err
}

func (s *server) previewTemplate(ctx context.Context, in *body[PreviewDocument]) (*body[TemplatePreview], error) {
	template, err := s.templateFor(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	event, err := s.eventFor(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	message, err := notify.Render(in.Body.Channel, template, []notify.Event{event})
	if err != nil {
		return nil, invalidField("body", "fails for this event: %s", err)
	}
	out := TemplatePreview{
		Subject: message.Subject, Text: message.Text, HTML: message.HTML,
		Characters: notify.Characters(message.Text), Limit: notify.Limit(in.Body.Channel),
	}
	if !event.Test {
		out.NotificationID = event.ID
	}
	return &body[TemplatePreview]{out}, s.db.AddAudit(ctx, audited(ctx, "notification_template.preview", "notification_template", "",
		map[string]any{"channel": in.Body.Channel, "type": in.Body.Type}))
}

// templateFor is the template that is asked for: nil for the built-in one.
func (s *server) templateFor(ctx context.Context, in PreviewDocument) (*notify.Template, error) {
	if in.Body != "" {
		template := notify.Template{Subject: in.Subject, Body: in.Body, HTML: in.HTML}
		return &template, template.Check(in.Channel, in.Type).OrNil()
	}
	active, err := s.db.ActiveTemplate(ctx, in.Channel, in.Type)
	if err != nil || active == nil {
		return nil, err
	}
	return &notify.Template{Subject: active.Subject, Body: active.Body, HTML: active.HTML}, nil
}

// eventFor is the notification that is asked for, the newest of its type, or a sample.
func (s *server) eventFor(ctx context.Context, in PreviewDocument) (notify.Event, error) {
	var found []db.Notification
	var err error
	if in.NotificationID != "" {
		found = make([]db.Notification, 1)
		if found[0], err = s.db.GetNotification(ctx, in.NotificationID); err != nil {
			return notify.Event{}, missingField(err, "notification_id", "notification", in.NotificationID)
		}
	} else if found, _, err = s.db.ListNotifications(ctx, db.NotificationFilter{Type: in.Type}, db.Page{Limit: 1}); err != nil {
		return notify.Event{}, err
	}
	if len(found) == 0 {
		return notify.Sample(in.Type, time.Now()), nil
	}
	settings, err := s.db.NotificationSettings(ctx)
	if err != nil {
		return notify.Event{}, err
	}
	n := found[0]
	return notify.Event{
		ID: n.ID, Type: n.Type, Severity: n.Severity, Title: n.Title, Message: n.Message, Time: n.CreatedAt,
		EntityType: n.EntityType, EntityID: n.EntityID, Metadata: n.Metadata,
	}.FromMetadata(settings.PublicURL).Complete(), nil
}

func viewTemplate(row db.Template) NotificationTemplate {
	return NotificationTemplate{
		ID: row.ID, TemplateText: TemplateText{row.Channel, row.Type, row.Subject, row.Body, row.HTML},
		Version: row.Version, Active: row.IsActive, CreatedAt: row.CreatedAt,
	}
}
