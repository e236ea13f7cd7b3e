package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
)

// Patch is the body of a PATCH: a document of type T of which every field may be left out. A field
// that is left out or null keeps its value, objects are merged field by field, lists are replaced. An
// object that a document may be without, such as ssh_tunnel, is taken from it by null.
type Patch[T any] struct{ raw json.RawMessage }

// UnmarshalJSON keeps the bytes, to be laid over the stored document later.
func (p *Patch[T]) UnmarshalJSON(data []byte) error {
	p.raw = bytes.Clone(data)
	return nil
}

// MarshalJSON gives the bytes back.
func (p Patch[T]) MarshalJSON() ([]byte, error) {
	if p.raw == nil {
		return []byte("{}"), nil
	}
	return p.raw, nil
}

// Schema is the schema of T with nothing required.
func (Patch[T]) Schema(registry huma.Registry) *huma.Schema {
	return optional(registry, registry.Schema(reflect.TypeFor[T](), true, ""))
}

// ApplyTo lays the patch over document. What document points to is left alone: it belongs to the
// stored row, with which the outcome is compared.
func (p Patch[T]) ApplyTo(document *T) error {
	if p.raw == nil {
		return nil
	}
	text, err := json.Marshal(*document)
	if err != nil {
		return fmt.Errorf("encode document: %w", err)
	}
	stored, err := decoded(text)
	if err != nil {
		return fmt.Errorf("decode document: %w", err)
	}
	sent, err := decoded(p.raw)
	if err != nil {
		return fmt.Errorf("decode patch: %w", err)
	}
	if sent == nil { // null changes nothing
		return nil
	}
	merged, err := json.Marshal(laidOver(stored, withoutNulls(sent, reflect.TypeFor[T]())))
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	var patched T
	if err := json.Unmarshal(merged, &patched); err != nil {
		return problem.New(http.StatusUnprocessableEntity, "The request does not fit the document: "+err.Error()+".")
	}
	lowerIDs(&patched)
	*document = patched
	return nil
}

// decoded is a JSON text with its numbers as they are written.
func decoded(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return value, decoder.Decode(&value)
}

// laidOver merges objects member by member and takes anything else from above. Decoding over a filled document would merge the
// members of lists too, by their places.
func laidOver(below, above any) any {
	into, isObject := below.(map[string]any)
	from, areObjects := above.(map[string]any)
	if !isObject || !areObjects {
		return above
	}
	for name, value := range from {
		into[name] = laidOver(into[name], value)
	}
	return into
}

// withoutNulls drops the null members of objects, but those that a document of type t may be without.
func withoutNulls(value any, t reflect.Type) any {
	object, ok := value.(map[string]any)
	if !ok || t.Kind() != reflect.Struct {
		return value
	}
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous { // its fields are the object's own
			withoutNulls(object, field.Type)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		member, sent := object[name]
		if !sent {
			continue
		}
		kind, removable := field.Type, false
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
			removable = kind.Kind() == reflect.Struct
		}
		switch {
		case member != nil:
			object[name] = withoutNulls(member, kind)
		case !removable:
			delete(object, name)
		}
	}
	return object
}

// optional copies the schema of an object, and those of the objects in it, without required
// fields. Only what is exported is copied: huma keeps the required set a second time, hidden.
func optional(registry huma.Registry, schema *huma.Schema) *huma.Schema {
	for schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	if schema.Type != huma.TypeObject {
		return schema
	}
	properties := make(map[string]*huma.Schema, len(schema.Properties))
	for name, property := range schema.Properties {
		properties[name] = optional(registry, property)
		if member := properties[name]; member.Type == huma.TypeObject {
			member.Nullable = true
			member.PrecomputeMessages()
		}
	}
	copied := &huma.Schema{
		Type: schema.Type, Description: schema.Description,
		Properties: properties, AdditionalProperties: schema.AdditionalProperties,
	}
	copied.PrecomputeMessages()
	return copied
}

// etag is the entity tag of a row's version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch reads an If-Match header: 0 when there is none (or it is *), else the version that the
// row must still have.
func ifMatch(header string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, nil
	}
	text, quoted := strings.CutPrefix(header, `"`)
	text, closed := strings.CutSuffix(text, `"`)
	version, err := strconv.ParseInt(text, 10, 64)
	if !quoted || !closed || err != nil || version < 1 {
		return 0, invalidField("header.If-Match", `is %q; send the ETag of the answer you read, for example "3"`, header)
	}
	return version, nil
}

// checkVersion answers 412 when the client asked for another version than the stored one.
func checkVersion(wanted, stored int64) error {
	if wanted != 0 && wanted != stored {
		return problem.New(http.StatusPreconditionFailed, fmt.Sprintf(
			"It is at version %d, not %d: somebody changed it meanwhile. Read it again and repeat the change on what you find.", stored, wanted))
	}
	return nil
}

// raced is for an update that met another one between its read and its write: a broken
// precondition where the client set one, else a conflict.
func raced(err error, wanted int64) error {
	if errors.Is(err, db.ErrVersionMismatch) && wanted == 0 {
		return problem.New(http.StatusConflict, "Somebody else changes it right now; try again.")
	}
	return err
}
