package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const (
	exampleID   = "0199f3a4-6b1d-7c52-9e0f-3d2a8b1c4e5f"
	exampleTime = "2026-03-01T03:00:07Z"

	maxExampleDepth = 6
)

// addExamples gives every request body and every answer of the document an example. Those of requests are written by
// hand where it matters what they say (requestExamples); the others follow from the schema.
func (s *server) addExamples() error {
	document := s.api.OpenAPI()
	e := exampler{document.Components.Schemas}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			if err := e.request(op); err != nil {
				return err
			}
			e.answers(op)
		}
	}
	return nil
}

// exampler makes examples of schemas.
type exampler struct{ registry huma.Registry }

func (e exampler) request(op *huma.Operation) error {
	if op.RequestBody == nil {
		return nil
	}
	for format, content := range op.RequestBody.Content {
		text, written := requestExamples[op.OperationID]
		switch {
		case content.Example != nil:
		case !written:
			content.Example = e.of(content.Schema, "", 0)
		case format == "application/json":
			if err := json.Unmarshal([]byte(text), &content.Example); err != nil {
				return fmt.Errorf("read the example of %s: %w", op.OperationID, err)
			}
		default:
			content.Example = text
		}
	}
	return nil
}

func (e exampler) answers(op *huma.Operation) {
	for status, answer := range op.Responses {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		for format, shared := range answer.Content {
			own := *shared // one value may stand for several formats
			content := &own
			answer.Content[format] = content
			switch {
			case content.Example != nil:
			case format == "application/json":
				content.Example = e.of(content.Schema, "", 0)
			case format == "text/event-stream":
				content.Example = e.event(content.Schema)
			default:
				content.Example = streamExamples[format]
			}
		}
	}
}

// event is how a value goes through a stream of events.
func (e exampler) event(schema *huma.Schema) any {
	text, err := json.Marshal(e.of(schema, "", 0))
	if err != nil {
		return nil
	}
	return "id: 1\nevent: snapshot\ndata: " + string(text) + "\n\n"
}

// of makes a value of a schema; name is that of the field that it is for.
func (e exampler) of(schema *huma.Schema, name string, depth int) any {
	if schema == nil || depth > maxExampleDepth {
		return nil
	}
	if schema.Ref != "" {
		component := schema.Ref[strings.LastIndex(schema.Ref, "/")+1:]
		if written, ok := componentExamples[component]; ok {
			return written
		}
		return e.of(e.registry.SchemaFromRef(schema.Ref), name, depth)
	}
	switch {
	case len(schema.OneOf) > 0:
		return e.of(schema.OneOf[0], name, depth)
	case len(schema.Examples) > 0:
		return schema.Examples[0]
	case schema.Default != nil:
		return schema.Default
	case len(schema.Enum) > 0:
		return enumExample(schema.Enum)
	}
	switch schema.Type {
	case huma.TypeObject:
		return e.object(schema, depth)
	case huma.TypeArray:
		return e.array(schema, name, depth)
	case huma.TypeBoolean:
		return !strings.HasPrefix(name, "no_") && !falseFields[name]
	case huma.TypeInteger, huma.TypeNumber:
		return numberExample(schema, name)
	case huma.TypeString:
		return textExample(schema, name)
	default:
		return map[string]any{} // whatever it may be
	}
}

// array has one member, where there can be one.
func (e exampler) array(schema *huma.Schema, name string, depth int) any {
	item := e.of(schema.Items, strings.TrimSuffix(name, "s"), depth+1)
	if item == nil {
		return []any{}
	}
	return []any{item}
}

// enumExample is the member that most things are.
func enumExample(members []any) any {
	for _, usual := range []string{"completed", "healthy", "ok", "postgres", "enabled", "info"} {
		if slices.Contains(members, any(usual)) {
			return usual
		}
	}
	return members[0]
}

func (e exampler) object(schema *huma.Schema, depth int) any {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		required := slices.Contains(schema.Required, name)
		if failureFields[name] && (!required || property.Nullable) {
			continue // the example is of what went well
		}
		if value := e.of(property, name, depth+1); value != nil || required {
			out[name] = value
		}
	}
	if further, ok := schema.AdditionalProperties.(*huma.Schema); ok && len(schema.Properties) == 0 {
		if value := e.of(further, "", depth+1); value != nil {
			out["name"] = value
		}
	}
	return out
}

func numberExample(schema *huma.Schema, name string) any {
	value, known := numberExamples[name]
	if !known {
		value = 3
	}
	if schema.Minimum != nil {
		value = max(value, *schema.Minimum)
	}
	if schema.Maximum != nil {
		value = min(value, *schema.Maximum)
	}
	if schema.Type == huma.TypeInteger {
		return int64(value)
	}
	return value
}

func textExample(schema *huma.Schema, name string) any {
	switch schema.Format {
	case "uuid":
		return exampleID
	case "date-time":
		return exampleTime
	case "date":
		return exampleTime[:len("2026-03-01")]
	}
	if known, ok := textExamples[name]; ok {
		return known
	}
	switch {
	case strings.HasSuffix(name, "_id"):
		return exampleID
	case strings.HasSuffix(name, "_name"):
		return "orders"
	}
	return strings.ReplaceAll(name, "_", " ")
}
