package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui/v5emb"

	"github.com/dataguardian/dataguardian/api/middleware"
	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	bearerScheme = "session"
	docsPath     = "/api/docs"
	openapiPath  = "/api/openapi.json"

	apiDescription = "Backs up databases and files, proves that the backups restore, and restores them.\n\n" +
		"Sign in with `POST /api/auth/login` and send the token as `Authorization: Bearer <token>`. " +
		"Lists are read page by page: pass `next_cursor` of an answer as `cursor`. " +
		"A PATCH changes the fields that it names; `If-Match` with the `ETag` of an earlier answer refuses the change " +
		"when somebody else was faster (412). Secrets are write-only: answers show `********`, and sending that back keeps the stored one. " +
		"Errors are `application/problem+json` (RFC 9457)."
)

// OpenAPI builds the OpenAPI 3.1 document as indented JSON. It needs no database and no Temporal.
func OpenAPI() ([]byte, error) {
	s, err := newServer(Options{Version: "1", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	compact, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("indent the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// humaConfig switches off what huma serves by itself: its reference page loads scripts from a CDN,
// and its routes would not be declared.
func humaConfig() huma.Config {
	config := huma.DefaultConfig("DataGuardian", "1")
	config.Info.Description = apiDescription
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	json := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	config.Formats = map[string]huma.Format{"application/json": json, "json": json}
	config.RejectUnknownQueryParameters = true
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearerScheme: {Type: "http", Scheme: "bearer", Description: "The token that POST /api/auth/login answers, or an API token."},
	}
	return config
}

// maxListText is how long a text in a list may be, in characters, where nothing else bounds it: names, patterns, paths, arguments.
// A path is 4,096 bytes at most, of which each may be written as \xNN.
const maxListText = 4 * 4096

// boundLists bounds the texts in lists, for which a field has no tag of its own. Statements are bounded together, by domain.
func (s *server) boundLists() {
	for _, schema := range s.api.OpenAPI().Components.Schemas.Map() {
		for name, property := range schema.Properties {
			texts := property.Items
			if texts == nil || texts.Type != huma.TypeString || texts.MaxLength != nil || len(texts.Enum) > 0 || texts.Format != "" {
				continue
			}
			most := maxListText
			if name == "post_restore_sql" {
				most = domain.MaxPostRestoreSQL
			}
			texts.MaxLength = &most
			texts.PrecomputeMessages()
		}
	}
}

// documentNulls says of the members that are an object or null that they are: huma knows no null beside a reference.
func (s *server) documentNulls() {
	registry := s.api.OpenAPI().Components.Schemas
	none := &huma.Schema{Type: "null", Enum: []any{nil}} // huma compares with members, and knows no such type
	none.PrecomputeMessages()
	for name, schema := range registry.Map() {
		of := registry.TypeFromRef("#/components/schemas/" + name)
		if of == nil || of.Kind() != reflect.Struct {
			continue
		}
		for _, field := range reflect.VisibleFields(of) {
			member, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			property := schema.Properties[member]
			if property != nil && property.Ref != "" && field.Type.Kind() == reflect.Pointer && !strings.Contains(options, "omitempty") {
				schema.Properties[member] = &huma.Schema{
					Description: property.Description, OneOf: []*huma.Schema{{Ref: property.Ref}, none},
				}
			}
		}
	}
}

// serveDocs adds the document in both notations and the reference page, whose files are embedded. Each notation is written when it is first
// asked for: it takes longer than everything else that a server does to start.
func (s *server) serveDocs() {
	reason := "it describes the API and holds nothing of an installation"
	serve := func(path, contentType string, encode func() ([]byte, error)) {
		document := sync.OnceValues(encode)
		s.route(path, public(reason), func(c *gin.Context) {
			text, err := document()
			if err != nil {
				s.explain(c.Request.Context(), fmt.Errorf("encode the OpenAPI document: %w", err)).Write(c.Writer)
				return
			}
			c.Data(http.StatusOK, contentType, text)
		})
	}
	serve(openapiPath, "application/openapi+json", s.api.OpenAPI().MarshalJSON)
	serve("/api/openapi.yaml", "application/openapi+yaml", s.api.OpenAPI().YAML)
	page := docsHandler()
	s.route(docsPath, public(reason), page)
	s.route(docsPath+"/*file", public(reason), page)
}

func docsHandler() gin.HandlerFunc {
	files := map[string]bool{
		"": true, "/": true, "/swagger-ui.css": true, "/swagger-ui-bundle.js": true, "/swagger-ui-standalone-preset.js": true,
		"/favicon-16x16.png": true, "/favicon-32x32.png": true,
	}
	page := v5emb.New("DataGuardian API", openapiPath, docsPath+"/")
	return func(c *gin.Context) {
		if !files[c.Param("file")] {
			problem.New(http.StatusNotFound, "There is no such page.").Write(c.Writer)
			return
		}
		c.Header("Content-Security-Policy", middleware.DocsPolicy)
		c.Header("Cache-Control", "no-cache")
		page.ServeHTTP(c.Writer, c.Request)
	}
}
