package api

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

var errNUL = errors.New("a text contains a NUL character, which can not be stored")

// unmarshal is how request bodies are read. Huma reads each body into an untyped value first, to
// validate it: there a NUL is refused once for every field of every document, because Postgres
// takes it in no text.
func unmarshal(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	if untyped, ok := into.(*any); ok && hasNUL(*untyped) {
		return errNUL
	}
	return nil
}

// refuseUnstorable is the same for query parameters: filters are compared with what Postgres has, and some are audited.
func (s *server) refuseUnstorable(ctx huma.Context, next func(huma.Context)) {
	address := ctx.URL()
	for name, values := range address.Query() {
		for _, value := range values {
			if strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
				s.reply(ctx, s.explain(ctx.Context(), invalidField("query."+strings.ToValidUTF8(name, "\ufffd"), "is no text: it has a NUL, or is not UTF-8")))
				return
			}
		}
	}
	next(ctx)
}

func hasNUL(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		for _, item := range v {
			if hasNUL(item) {
				return true
			}
		}
	case map[string]any:
		for name, member := range v {
			if hasNUL(name) || hasNUL(member) {
				return true
			}
		}
	}
	return false
}
