package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"sigs.k8s.io/yaml"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Ways in which a transaction ends on purpose.
var (
	errDryRun    = errors.New("a dry run changes nothing")
	errUnchanged = errors.New("nothing would change")
)

// applying is the document that is applied. It is known by the context to the operations that it goes through.
type applying struct {
	names   *configNames
	wrong   domain.Invalid
	outcome ConfigOutcome
	// entry is what the latest operation wrote into the audit trail.
	entry db.AuditEntry
	// effects are what the operations want to be done outside of the database, by the end of the transaction.
	effects []func(context.Context) error
}

type applyingKey struct{}

// noteAudit shows an audit entry to the document that is being applied, if one is.
func noteAudit(ctx context.Context, entry db.AuditEntry) {
	if a, ok := ctx.Value(applyingKey{}).(*applying); ok {
		a.entry = entry
	}
}

// outside does what a change has to do outside of the database, as the last step of its transaction. While a document is
// applied it waits until all of it is in the database, and a dry run does not do it.
func outside(ctx context.Context, effect func(context.Context) error) error {
	if a, ok := ctx.Value(applyingKey{}).(*applying); ok {
		a.effects = append(a.effects, effect)
		return nil
	}
	return effect(ctx)
}

func (s *server) applyConfig(ctx context.Context, in *applyInput) (*body[ConfigOutcome], error) {
	if err := in.checkType(); err != nil {
		return nil, err
	}
	kinds := s.configKinds()
	document, err := parseConfig(kinds, in.RawBody)
	if err != nil {
		return nil, err
	}
	grants := principalOf(ctx).Grants
	for _, kind := range kinds {
		if len(document[kind.section]) > 0 && !grants.Allows(kind.write) {
			return nil, s.refuse(ctx, "apply-config", []auth.Permission{kind.write})
		}
	}
	a := &applying{outcome: ConfigOutcome{DryRun: in.DryRun, Changes: []ConfigChange{}}}
	if a.names, _, err = s.readNames(ctx, kinds); err != nil {
		return nil, err
	}
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if err := q.LockConfig(ctx); err != nil { // two documents may change the same things in opposite orders
			return err
		}
		joined := context.WithValue(db.Joining(ctx, q), applyingKey{}, a)
		for _, kind := range kinds {
			if err := s.applySection(joined, a, kind, document[kind.section]); err != nil {
				return err
			}
		}
		return s.concludeApply(ctx, q, a)
	})
	if errors.Is(err, errDryRun) {
		err = s.db.AddAudit(ctx, audited(ctx, "config.dry_run", "system", "config", a.outcome.counts()))
	}
	if err != nil {
		return nil, err
	}
	return &body[ConfigOutcome]{a.outcome}, nil
}

// concludeApply ends the transaction in which everything was tried.
func (s *server) concludeApply(ctx context.Context, q *db.Queries, a *applying) error {
	if err := a.wrong.OrNil(); err != nil {
		return err
	}
	if a.outcome.DryRun {
		return errDryRun
	}
	if err := q.AddAudit(ctx, audited(ctx, "config.apply", "system", "config", a.outcome.counts())); err != nil {
		return err
	}
	for _, effect := range a.effects {
		if err := effect(ctx); err != nil {
			return err
		}
	}
	return nil
}

// counts are how many things were created, updated and left alone.
func (o ConfigOutcome) counts() map[string]any {
	counts := map[string]any{}
	for _, change := range o.Changes {
		count, _ := counts[change.Action].(int)
		counts[change.Action] = count + 1
	}
	return counts
}

// applySection applies the items of a kind. It fails only where going on makes no sense; what is wrong with an item is
// collected, so that people see all of it at once.
func (s *server) applySection(ctx context.Context, a *applying, kind configKind, items []map[string]any) error {
	seen := map[string]bool{}
	for i, item := range items {
		name := kind.keyOf(item)
		at := fmt.Sprintf("%s[%d]", kind.section, i)
		keyed := cmp.Or(kind.keyed, "name")
		switch key := strings.ToLower(name); {
		case key == "":
			a.wrong.Add(at+"."+keyed, "is required: it says which %s is meant", kind.title)
			continue
		case seen[key]:
			a.wrong.Add(at+"."+keyed, "%q is there twice", name)
			continue
		default:
			seen[key] = true
		}
		if err := s.applyItem(ctx, a, kind, at, name, item); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) applyItem(ctx context.Context, a *applying, kind configKind, at, name string, item map[string]any) error {
	id := a.names.of(kind.section, name)
	document, ok := a.names.toIDs(&a.wrong, at, item).(map[string]any)
	if !ok || !s.fitsSchema(a, kind, at, id, document) {
		return nil
	}
	text, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode %s: %w", at, err)
	}
	change := ConfigChange{Kind: kind.section, Name: name, ID: id, Action: "update"}
	effects := len(a.effects)
	var view json.RawMessage
	err = s.db.InTx(ctx, func(q *db.Queries) (err error) {
		ctx := db.Joining(ctx, q)
		if id == "" {
			change.Action = "create"
			view, err = kind.create(ctx, text)
			change.Changes = a.entry.Changes
			return err
		}
		if view, err = kind.update(ctx, id, text); err != nil {
			return err
		}
		if change.Changes = realChanges(a.entry.Changes); change.Changes == nil {
			return errUnchanged
		}
		return nil
	})
	switch {
	case errors.Is(err, errUnchanged):
		change.Action, a.effects = "unchanged", a.effects[:effects]
	case err != nil:
		a.effects = a.effects[:effects]
		return s.collect(ctx, a, at, err)
	default:
		object, err := objectOf(view)
		if err != nil {
			return err
		}
		a.names.add(kind, object)
		if change.ID, _ = object["id"].(string); id == "" && a.outcome.DryRun {
			change.ID = ""
		}
	}
	a.outcome.Changes = append(a.outcome.Changes, change)
	return nil
}

// fitsSchema checks an item against the schema that the API's own operation has.
func (s *server) fitsSchema(a *applying, kind configKind, at, id string, document map[string]any) bool {
	schema := kind.schema
	if id != "" {
		schema = kind.patch
	}
	var result huma.ValidateResult
	huma.Validate(s.api.OpenAPI().Components.Schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, document, &result)
	for _, err := range result.Errors {
		field := problem.Field{Message: err.Error()}
		if detailer, ok := err.(huma.ErrorDetailer); ok { //nolint:errorlint // huma gives them bare
			field = fieldOf(detailer.ErrorDetail())
		}
		a.wrong.Add(at+"."+strings.TrimPrefix(field.Location, "."), "%s", field.Message)
	}
	return len(result.Errors) == 0
}

// collect keeps what is wrong with an item. An error that is not about the item ends it all.
func (s *server) collect(ctx context.Context, a *applying, at string, err error) error {
	if errors.Is(err, db.ErrContended) { // of the whole document: its transaction is over
		return err
	}
	p := s.describe(ctx, err)
	if p.Status == http.StatusForbidden || p.Status == http.StatusUnauthorized || p.Status >= http.StatusInternalServerError {
		return err
	}
	if len(p.Errors) == 0 || p.Status == http.StatusConflict { // what to do about a conflict is in the detail
		a.wrong.Add(at, "%s", p.Detail)
	}
	for _, field := range p.Errors {
		a.wrong.Add(strings.TrimSuffix(at+"."+field.Location, "."), "%s", field.Message)
	}
	return nil
}

// realChanges drops from the changes of an audit entry what changes with every write; nil when nothing is left.
func realChanges(changes map[string]any) map[string]any {
	before, isUpdate := changes["before"].(map[string]any)
	if !isUpdate { // a new version of something
		return changes
	}
	after, _ := changes["after"].(map[string]any)
	was, is := maps.Clone(before), maps.Clone(after)
	for _, field := range []string{"version", "updated_at", "next_execution_at"} {
		delete(was, field)
		delete(is, field)
	}
	if len(is) == 0 && changes["secrets_replaced"] == nil {
		return nil
	}
	out := maps.Clone(changes)
	out["before"], out["after"] = was, is
	return out
}

// parseConfig reads a document into its sections.
func parseConfig(kinds []configKind, text []byte) (map[string][]map[string]any, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, problem.New(http.StatusBadRequest, "The document can not be read as YAML: "+err.Error()+".")
	}
	var document map[string]any
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	if err := decoder.Decode(&document); err != nil {
		return nil, problem.New(http.StatusUnprocessableEntity, "The document is not an object with sections such as datasources.")
	}
	if hasNUL(document) {
		return nil, problem.New(http.StatusBadRequest, "The document can not be read: "+errNUL.Error()+".")
	}
	var v domain.Invalid
	out := map[string][]map[string]any{}
	for _, section := range slices.Sorted(maps.Keys(document)) {
		if !slices.ContainsFunc(kinds, func(k configKind) bool { return k.section == section }) {
			v.Add(section, "is no section of the configuration")
			continue
		}
		items, ok := document[section].([]any)
		if !ok && document[section] != nil {
			v.Add(section, "is not a list")
		}
		for i, item := range items {
			object, ok := item.(map[string]any)
			if !ok {
				v.Add(fmt.Sprintf("%s[%d]", section, i), "is not an object")
				continue
			}
			refuseReferences(&v, fmt.Sprintf("%s[%d]", section, i), object)
			out[section] = append(out[section], object)
		}
	}
	return out, v.OrNil()
}

// refuseReferences finds references to the environment or to files. They are resolved by whoever sends the document: the
// server's own environment is not for its callers.
func refuseReferences(v *domain.Invalid, at string, value any) {
	switch held := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(held)) {
			if name == "from_env" || name == "from_file" {
				v.Add(at, "is a reference (%s), which 'dataguardian apply' resolves before it sends the document; send the value", name)
				return
			}
			refuseReferences(v, at+"."+name, held[name])
		}
	case []any:
		for i, item := range held {
			refuseReferences(v, fmt.Sprintf("%s[%d]", at, i), item)
		}
	}
}
