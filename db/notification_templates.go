package db

import (
	"context"
	"errors"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Template is one version of what notifications of a type look like on a type of channel. Of each such pair
// one version at most is active; with none the built-in text is used.
type Template dbgen.NotificationTemplate

// TemplateFilter narrows a list; the zero value of a field does not.
type TemplateFilter struct {
	Channel domain.ChannelType
	Type    domain.NotificationType
	Active  bool
}

// AddTemplate stores the next version of a pair; an active one takes the place of the version that was.
func (q *Queries) AddTemplate(ctx context.Context, t Template) (Template, error) {
	const op = "save a notification template"
	id, err := newID()
	if err != nil {
		return Template{}, err
	}
	var row dbgen.NotificationTemplate
	err = q.inTx(ctx, func(q *Queries) error {
		if err := q.q.LockTemplates(ctx, dbgen.LockTemplatesParams{Channel: string(t.Channel), Type: string(t.Type)}); err != nil {
			return translate(op, err)
		}
		if t.IsActive {
			if err := q.DeactivateTemplates(ctx, t.Channel, t.Type); err != nil {
				return err
			}
		}
		row, err = q.q.AddTemplate(ctx, dbgen.AddTemplateParams{
			ID: id, Channel: string(t.Channel), Type: string(t.Type), Subject: t.Subject, Body: t.Body, HTML: t.HTML,
			IsActive: t.IsActive, CreatedBy: t.CreatedBy,
		})
		return translate(op, err)
	})
	return Template(row), err
}

// GetTemplate reads one version. Errors: ErrNotFound.
func (q *Queries) GetTemplate(ctx context.Context, id string) (Template, error) {
	op := "read notification template " + id
	if err := checkID(op, id); err != nil {
		return Template{}, err
	}
	row, err := q.q.GetTemplate(ctx, id)
	return Template(row), translate(op, err)
}

// ListTemplates reads one page of versions and the cursor of the next, "" on the last one. Errors: ErrInvalidCursor.
func (q *Queries) ListTemplates(ctx context.Context, filter TemplateFilter, page Page) ([]Template, string, error) {
	from, err := page.position()
	if err != nil {
		return nil, "", err
	}
	rows, err := q.q.ListTemplates(ctx, dbgen.ListTemplatesParams{
		Channel: unlessZero(string(filter.Channel)), Type: unlessZero(string(filter.Type)), ActiveOnly: filter.Active,
		BeforeCreatedAt: from.createdAt, BeforeID: from.id, PageSize: page.fetch(),
	})
	if err != nil {
		return nil, "", translate("list notification templates", err)
	}
	rows, next := pageOf(rows, page, func(r dbgen.NotificationTemplate) (time.Time, string) { return r.CreatedAt, r.ID })
	out, err := convert(rows, func(r dbgen.NotificationTemplate) (Template, error) { return Template(r), nil })
	return out, next, err
}

// ActiveTemplate is the version in use, nil for the built-in text.
func (q *Queries) ActiveTemplate(ctx context.Context, channel domain.ChannelType, t domain.NotificationType) (*Template, error) {
	found, _, err := q.ListTemplates(ctx, TemplateFilter{Channel: channel, Type: t, Active: true}, Page{Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// ActivateTemplate makes a version the one in use. Errors: ErrNotFound.
func (q *Queries) ActivateTemplate(ctx context.Context, id string) (Template, error) {
	return q.switchTemplate(ctx, id, true)
}

// DisableTemplate takes a version out of use; the built-in text is used then. Errors: ErrNotFound.
func (q *Queries) DisableTemplate(ctx context.Context, id string) (Template, error) {
	return q.switchTemplate(ctx, id, false)
}

func (q *Queries) switchTemplate(ctx context.Context, id string, active bool) (Template, error) {
	const op = "switch a notification template"
	var row dbgen.NotificationTemplate
	err := q.inTx(ctx, func(q *Queries) error {
		t, err := q.GetTemplate(ctx, id)
		if err != nil {
			return err
		}
		if err := q.q.LockTemplates(ctx, dbgen.LockTemplatesParams{Channel: string(t.Channel), Type: string(t.Type)}); err != nil {
			return translate(op, err)
		}
		if active {
			if err := q.DeactivateTemplates(ctx, t.Channel, t.Type); err != nil {
				return err
			}
		}
		row, err = q.q.SetTemplateActive(ctx, dbgen.SetTemplateActiveParams{ID: id, IsActive: active})
		return translate(op, err)
	})
	return Template(row), err
}

// DeactivateTemplates takes every version of a pair out of use.
func (q *Queries) DeactivateTemplates(ctx context.Context, channel domain.ChannelType, t domain.NotificationType) error {
	return translate("switch a notification template", q.q.DeactivateTemplates(ctx, dbgen.DeactivateTemplatesParams{Channel: string(channel), Type: string(t)}))
}

func isMissing(err error) bool { return errors.Is(err, ErrNotFound) }
