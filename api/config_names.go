package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// configNames are the names of what a document may refer to, by kind.
type configNames struct {
	kinds []configKind
	ids   map[string]map[string]string // section → name in lower case → id
	names map[string]map[string]string // section → id → name
	// hidden are the sections that the caller may not read, or not as a whole.
	hidden map[string]bool
}

// readNames reads the names of all that the caller may see, with each view as it is.
func (s *server) readNames(ctx context.Context, kinds []configKind) (*configNames, map[string][]map[string]any, error) {
	names := &configNames{kinds: kinds, ids: map[string]map[string]string{}, names: map[string]map[string]string{}, hidden: map[string]bool{}}
	views := map[string][]map[string]any{}
	grants := principalOf(ctx).Grants
	for _, kind := range kinds {
		names.ids[kind.section], names.names[kind.section] = map[string]string{}, map[string]string{}
		if names.hidden[kind.section] = !grants.Allows(kind.read); names.hidden[kind.section] {
			continue
		}
		paging := &Paging{Limit: maxConfigPage}
		for {
			page, next, err := kind.list(ctx, paging)
			var refused *problem.Problem
			if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
				names.hidden[kind.section] = true // limited in a way that the list does not know
				break
			}
			if err != nil {
				return nil, nil, err
			}
			for _, raw := range page {
				view, err := objectOf(raw)
				if err != nil {
					return nil, nil, err
				}
				names.add(kind, view)
				views[kind.section] = append(views[kind.section], view)
			}
			if next == "" {
				break
			}
			paging.Cursor = next
		}
	}
	return names, views, nil
}

const maxConfigPage = 200

func (n *configNames) add(kind configKind, view map[string]any) {
	id, _ := view["id"].(string)
	name := kind.keyOf(view)
	n.ids[kind.section][strings.ToLower(name)], n.names[kind.section][id] = id, name
}

// of is the id of the thing with a name, "" when there is none.
func (n *configNames) of(section, name string) string { return n.ids[section][strings.ToLower(name)] }

// sectionOf is the section that a field refers to, "" when it refers to none.
func (n *configNames) sectionOf(field string) string {
	for _, kind := range n.kinds {
		if slices.Contains(kind.refersAs, field) {
			return kind.section
		}
	}
	return ""
}

// toNames replaces ids by names: datasource_id by datasource, wherever it is in the document.
func (n *configNames) toNames(value any) any {
	return n.replace(value, func(field string, held any) (string, any) {
		name, isID := strings.CutSuffix(field, "_id")
		section := n.sectionOf(name)
		id, isText := held.(string)
		if !isID || section == "" || !isText || n.names[section][id] == "" {
			return field, held
		}
		return name, n.names[section][id]
	})
}

// toIDs is the other way round. What names nothing is wrong.
func (n *configNames) toIDs(v *domain.Invalid, at string, value any) any {
	return n.replace(value, func(field string, held any) (string, any) {
		section := n.sectionOf(field)
		name, isText := held.(string)
		if section == "" || !isText {
			return field, held
		}
		id := n.of(section, name)
		if id == "" {
			v.Add(at+"."+field, "there is nothing called %q in %s, neither in this document nor among what you may see", name, section)
		}
		return field + "_id", id
	})
}

// replace copies a document with other members.
func (n *configNames) replace(value any, member func(field string, held any) (string, any)) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, field := range slices.Sorted(maps.Keys(v)) {
			name, held := member(field, n.replace(v[field], member))
			out[name] = held
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = n.replace(item, member)
		}
		return out
	default:
		return value
	}
}

func objectOf(raw []byte) (map[string]any, error) {
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("decode a view: %w", err)
	}
	return object, nil
}
