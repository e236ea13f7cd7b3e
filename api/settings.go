package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Setting is one setting as clients see it.
type Setting struct {
	Key       string             `json:"key" example:"scrub.weekly_share_percent"`
	Type      domain.SettingType `json:"type" enum:"integer,boolean,string"`
	Value     any                `json:"value" doc:"The one that counts" example:"25"`
	Default   any                `json:"default" doc:"The one that counts where nothing is set" example:"25"`
	Doc       string             `json:"doc"`
	IsDefault bool               `json:"is_default" doc:"Nothing is set"`
	UpdatedBy *string            `json:"updated_by" format:"uuid" doc:"User who set it"`
	UpdatedAt *time.Time         `json:"updated_at"`
}

type settingsInput struct {
	Approved
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the answer that the change starts from; another state is 412"`
	// Values are JSON by key: they are typed by the registry, not by this struct.
	Body map[string]json.RawMessage `doc:"Values by key; null takes the default again" example:"{\"scrub.weekly_share_percent\": 10}"`
}

type settingsAnswer struct {
	ETag string `header:"ETag"`
	Body list[Setting]
}

func (s *server) registerSettings() {
	tags, path := []string{"System"}, "/api/system/settings"
	register(s, requires(auth.SystemRead), huma.Operation{
		OperationID: "list-settings", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List the platform's settings", Description: "Every key there is, with its type, default and value.",
	}, s.listSettings)
	errors := []int{http.StatusPreconditionFailed}
	register(s, requires(auth.SystemWrite), documentApproval(s, huma.Operation{
		OperationID: "update-settings", Method: http.MethodPatch, Path: path, Tags: tags, Errors: errors,
		Summary: "Change some settings", Description: "Keys that are left out stay as they are; a key that is not known is refused.",
	}), func(ctx context.Context, in *settingsInput) (*settingsAnswer, error) {
		return s.changeSettings(ctx, in, false)
	})
	register(s, requires(auth.SystemWrite), documentApproval(s, huma.Operation{
		OperationID: "replace-settings", Method: http.MethodPut, Path: path, Tags: tags, Errors: errors,
		Summary: "Replace all settings", Description: "Keys that are left out take their default again.",
	}), func(ctx context.Context, in *settingsInput) (*settingsAnswer, error) {
		return s.changeSettings(ctx, in, true)
	})
}

func (s *server) listSettings(ctx context.Context, _ *empty) (*settingsAnswer, error) {
	stored, err := s.db.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return answerSettings(stored), nil
}

func (s *server) changeSettings(ctx context.Context, in *settingsInput, replace bool) (*settingsAnswer, error) {
	values, err := settingValues(in.Body, replace)
	if err != nil {
		return nil, err
	}
	var answer *settingsAnswer
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if err := q.LockSettings(ctx); err != nil {
			return err
		}
		before, err := q.Settings(ctx)
		if err != nil {
			return err
		}
		if in.IfMatch != "" && in.IfMatch != "*" && in.IfMatch != answerSettings(before).ETag {
			return problem.New(http.StatusPreconditionFailed, "Somebody changed the settings meanwhile. Read them again and repeat the change on what you find.")
		}
		asked, err := q.ApprovalSettings(ctx)
		if err != nil {
			return err
		}
		if err := q.ChangeSettings(ctx, values, principalOf(ctx).User.ID); err != nil {
			return err
		}
		after, err := q.Settings(ctx)
		if err != nil {
			return err
		}
		answer = answerSettings(after)
		changes, err := changed(valuesOf(answerSettings(before).Body.Items), valuesOf(answer.Body.Items))
		if err != nil {
			return err
		}
		if err := approveWeakening(ctx, q, in.ApprovalID, asked, values, changes); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "settings.update", "settings", "", changes))
	})
	if err != nil {
		return nil, s.orAsk(ctx, err)
	}
	return answer, nil
}

// approveWeakening uses up the approval of a change that switches approvals off: whoever could do that alone would
// need none.
func approveWeakening(ctx context.Context, q *db.Queries, id string, before domain.ApprovalSettings, values, changes map[string]any) error {
	after, err := q.ApprovalSettings(ctx)
	if err != nil {
		return err
	}
	off := before.SwitchedOff(after)
	if len(off) == 0 {
		return nil
	}
	return approved(ctx, q, id, irreversible{
		action: domain.ApproveWeakening, permission: auth.SystemWrite, resource: "settings", resourceID: uuid.Nil.String(),
		summary: "Switch off " + strings.Join(off, ", "), request: map[string]any{"settings": values},
	}, changes)
}

// settingValues types what was sent, nil for a key that is to take its default; replace adds those
// that were not sent.
func settingValues(sent map[string]json.RawMessage, replace bool) (map[string]any, error) {
	var invalid domain.Invalid
	values := make(map[string]any, len(sent))
	for key, raw := range sent {
		known, ok := domain.FindSetting(key)
		switch {
		case !ok:
			invalid.Add(key, "is no setting; GET /api/system/settings lists those there are")
			continue
		case string(raw) == "null":
			values[key] = nil
			continue
		}
		value, err := known.Decode(raw)
		var wrong domain.Invalid
		if errors.As(err, &wrong) {
			invalid = append(invalid, wrong...)
		} else if err != nil {
			return nil, err
		}
		values[key] = value
	}
	if replace {
		for _, known := range domain.Settings() {
			if _, ok := values[known.Key]; !ok {
				values[known.Key] = nil
			}
		}
	}
	return values, invalid.OrNil()
}

func answerSettings(stored map[string]domain.StoredSetting) *settingsAnswer {
	answer := &settingsAnswer{Body: list[Setting]{Items: []Setting{}}}
	state := sha256.New()
	for _, known := range domain.Settings() {
		view := Setting{Key: known.Key, Type: known.Type, Value: known.Default, Default: known.Default, Doc: known.Doc, IsDefault: true}
		if set, ok := stored[known.Key]; ok {
			view.IsDefault, view.UpdatedBy, view.UpdatedAt = false, set.UpdatedBy, &set.UpdatedAt
			// What somebody's own SQL stored is shown as it is; whoever reads it refuses it.
			view.Value = set.Value
			state.Write([]byte(known.Key + "=" + string(set.Value) + "\n"))
		}
		answer.Body.Items = append(answer.Body.Items, view)
	}
	answer.ETag = `"` + hex.EncodeToString(state.Sum(nil))[:16] + `"`
	return answer
}

func valuesOf(settings []Setting) map[string]any {
	values := make(map[string]any, len(settings))
	for _, view := range settings {
		values[view.Key] = view.Value
	}
	return values
}
