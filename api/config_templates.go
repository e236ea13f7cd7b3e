package api

import "context"

// A template has no name: there is one in use for each channel and type. Changing it makes a new version.

func templateKey(object map[string]any) string {
	channel, _ := object["channel"].(string)
	kind, _ := object["type"].(string)
	if channel == "" || kind == "" {
		return ""
	}
	return channel + "/" + kind
}

func (s *server) templatesInUse(ctx context.Context, in *Paging) (*body[page[NotificationTemplate]], error) {
	return s.listTemplates(ctx, &TemplateQuery{Paging: *in, Active: true})
}

func (s *server) addTemplate(ctx context.Context, in *body[TemplateDocument]) (*created[NotificationTemplate], error) {
	out, err := s.createTemplate(ctx, in)
	if err != nil {
		return nil, err
	}
	return &created[NotificationTemplate]{Body: out.Body}, nil
}

func (s *server) replaceTemplate(ctx context.Context, in *patchOf[TemplateDocument]) (*versioned[NotificationTemplate], error) {
	now, err := s.getTemplate(ctx, &ByID{ID: in.ID})
	if err != nil {
		return nil, err
	}
	document := TemplateDocument{TemplateText: now.Body.TemplateText}
	if err := in.Body.ApplyTo(&document); err != nil {
		return nil, err
	}
	if document.TemplateText == now.Body.TemplateText {
		return nil, errUnchanged
	}
	out, err := s.createTemplate(ctx, &body[TemplateDocument]{document})
	if err != nil {
		return nil, err
	}
	return &versioned[NotificationTemplate]{Body: out.Body}, nil
}
