package api

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"sigs.k8s.io/yaml"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/internal/auth"
)

const yamlType = "application/yaml"

const configDescription = "Datasources, storage locations, backup, sync and drill jobs, notification channels and templates as one YAML document. They refer to each other by name " +
	"(`datasource: orders` in place of `datasource_id`). Secrets show as `********`, which keeps the stored one when the document is applied."

type configDocument struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

type applyInput struct {
	DryRun      bool   `query:"dry_run" doc:"Only say what would change"`
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"application/yaml"`
}

// yamlTypes are what YAML is sent as; JSON is YAML as well.
var yamlTypes = []string{yamlType, "application/x-yaml", "text/yaml", "text/x-yaml", "application/json"}

// checkType refuses a document that is sent as something else.
func (in *applyInput) checkType() error {
	sent, _, err := mime.ParseMediaType(in.ContentType)
	if in.ContentType == "" || err == nil && slices.Contains(yamlTypes, sent) {
		return nil
	}
	return problem.New(http.StatusUnsupportedMediaType, "The document must be YAML or JSON; send Content-Type: application/yaml.")
}

// ConfigChange is what became of one thing of a document.
type ConfigChange struct {
	Kind    string         `json:"kind" doc:"Section of the document"`
	Name    string         `json:"name"`
	ID      string         `json:"id,omitempty" doc:"Left out for what a dry run would create"`
	Action  string         `json:"action" enum:"create,update,unchanged"`
	Changes map[string]any `json:"changes,omitempty" doc:"before and after, as in the audit trail; secrets_replaced names secrets that are replaced"`
}

// ConfigOutcome is what became of a document.
type ConfigOutcome struct {
	DryRun  bool           `json:"dry_run"`
	Changes []ConfigChange `json:"changes" nullable:"false"`
}

func (s *server) registerConfig() {
	tags, path := []string{"System"}, "/api/system/config"
	text := map[string]*huma.MediaType{yamlType: {Schema: &huma.Schema{Type: huma.TypeString}}}
	register(s, requires(auth.SystemRead), huma.Operation{
		OperationID: "export-config", Method: http.MethodGet, Path: path, Tags: tags, Summary: "The configuration as a document",
		Description: configDescription + " What the caller may not read is left out, and named in a comment.",
		Responses:   map[string]*huma.Response{"200": {Description: "The document", Content: text}},
	}, s.exportConfig)
	register(s, requires(auth.SystemWrite), huma.Operation{
		OperationID: "apply-config", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Apply a document",
		Description: configDescription + " Everything is applied or nothing. What the document names and does not exist is created; what exists is " +
			"changed in the fields that the document has; the rest is left alone, and nothing is deleted. Applying it again changes nothing. " +
			"Needs the permission to write each kind that the document has as well.",
		Errors: []int{http.StatusConflict, http.StatusServiceUnavailable},
	}, s.applyConfig)
}

func (s *server) exportConfig(ctx context.Context, _ *empty) (*configDocument, error) {
	kinds := s.configKinds()
	names, views, err := s.readNames(ctx, kinds)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, kind := range kinds {
		if names.hidden[kind.section] {
			text.WriteString("# " + kind.section + " are left out: you may not read them.\n")
			continue
		}
		items := make([]any, 0, len(views[kind.section]))
		for _, view := range views[kind.section] {
			items = append(items, names.toNames(s.written(kind, view)))
		}
		part, err := yaml.Marshal(map[string]any{kind.section: items})
		if err != nil {
			return nil, err
		}
		text.Write(part)
	}
	return &configDocument{yamlType, []byte(text.String())}, nil
}

// written keeps of a view what can be written.
func (s *server) written(kind configKind, view map[string]any) map[string]any {
	schema := kind.schema
	for schema.Ref != "" {
		schema = s.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	out := map[string]any{}
	for field := range schema.Properties {
		if value, shown := view[field]; shown && value != nil {
			out[field] = value
		}
	}
	return out
}
