package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// QueryRequest is a statement that reads.
type QueryRequest struct {
	Statement string `json:"statement" minLength:"1" maxLength:"16384" doc:"One statement that reads; SELECT or VALUES everywhere"`
	Database  string `json:"database,omitempty" maxLength:"63" doc:"Of a datasource that has every database of its server: which one"`
}

type schemaInput struct {
	ByID
	Database string `query:"database" maxLength:"63" doc:"Of a datasource that has every database of its server: which one; without it, the databases are listed"`
}

type queryInput struct {
	ByID
	Body QueryRequest
}

func (s *server) registerDatasourceLooks(tags []string, path string) {
	errors := []int{http.StatusNotFound, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	schema := huma.Operation{
		OperationID: "get-datasource-schema", Method: http.MethodGet, Path: path + "/{id}/schema", Tags: tags,
		Summary: "Look what a datasource holds",
		Description: fmt.Sprintf("Databases, tables or collections with their columns, or the top of a file tree: at most %d objects and %d columns. "+
			"A worker asks the datasource now; nothing is changed there.", domain.MaxSchemaObjects, domain.MaxSchemaColumns),
		Errors: errors,
	}
	schema.Responses = s.jsonOf(reflect.TypeFor[domain.Schema](), "Schema", "What it holds")
	register(s, requires(auth.DatasourcesRead), schema, s.datasourceSchema)
	query := huma.Operation{
		OperationID: "query-datasource", Method: http.MethodPost, Path: path + "/{id}/query", Tags: tags,
		Summary: "Read from a datasource with SQL",
		Description: fmt.Sprintf("One statement, in a transaction or connection that the server itself keeps from writing, for at most %s; at most %d rows and about %d MiB. "+
			"Every statement is in the audit log, secrets masked; neither it nor the rows pass through Temporal.", domain.QueryTimeout, domain.MaxQueryRows, domain.MaxQueryBytes>>20),
		Errors: errors,
	}
	query.Responses = s.jsonOf(reflect.TypeFor[domain.QueryResult](), "QueryResult", "The rows")
	register(s, requires(auth.DatasourcesQuery), query, s.queryDatasource)
}

// jsonOf documents an answer that a worker encodes.
func (s *server) jsonOf(t reflect.Type, name, description string) map[string]*huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(t, true, name)
	return map[string]*huma.Response{"200": {Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}}
}

func (s *server) datasourceSchema(ctx context.Context, in *schemaInput) (*huma.StreamResponse, error) {
	row, err := s.lookable(ctx, in.ID, "query.database", in.Database)
	if err != nil {
		return nil, err
	}
	return s.look(ctx, row, contract.TransferSchema, contract.DatasourceLook{Database: in.Database}, auth.DatasourcesRead, "")
}

func (s *server) queryDatasource(ctx context.Context, in *queryInput) (*huma.StreamResponse, error) {
	if strings.TrimSpace(in.Body.Statement) == "" {
		return nil, invalidField("statement", "is empty")
	}
	row, err := s.lookable(ctx, in.ID, "database", in.Body.Database)
	if err != nil {
		return nil, err
	}
	// Before it runs: what was asked is known also of a statement that the API does not see the end of.
	details := map[string]any{"statement": auditedStatement(in.Body.Statement, row.Config.SecretValues())}
	if in.Body.Database != "" {
		details["database"] = in.Body.Database
	}
	if err := s.db.AddAudit(ctx, audited(ctx, "datasource.query", "datasource", row.ID, details)); err != nil {
		return nil, err
	}
	asked := contract.DatasourceLook{Database: in.Body.Database, Statement: in.Body.Statement}
	return s.look(ctx, row, contract.TransferQuery, asked, auth.DatasourcesQuery, "statement")
}

// sqlPassword is how SQL gives a password to an account.
var sqlPassword = regexp.MustCompile(`(?i)(\b(?:password|identified\s+by)\s+)'(?:[^']|'')*'`)

// auditedStatement is a statement without the secrets in it.
func auditedStatement(statement string, secrets []string) string {
	return failure.Redact(sqlPassword.ReplaceAllString(statement, "${1}'"+failure.Mask+"'"), secrets...)
}

// lookable reads a datasource and refuses a database that is none of it.
func (s *server) lookable(ctx context.Context, id, field, database string) (db.Datasource, error) {
	row, err := s.db.GetDatasource(ctx, id)
	if err != nil {
		return row, missing(err, "datasource", id)
	}
	if database != "" && !row.Config.Offers(row.Type, database) {
		message := fmt.Sprintf("%q is no database of datasource %s", database, row.Name)
		return row, problem.New(http.StatusUnprocessableEntity, message+".", problem.Field{Location: field, Message: message})
	}
	return row, nil
}

// look streams the answer of a worker of the datasource's pool.
func (s *server) look(ctx context.Context, row db.Datasource, kind string, asked contract.DatasourceLook, needs auth.Permission, field string) (*huma.StreamResponse, error) {
	asked.DatasourceID, asked.Pool = row.ID, row.Pool
	text, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("encode what to ask: %w", err)
	}
	if len(text) > dataport.MaxBody {
		return nil, invalidField("statement", "is too long")
	}
	return s.transfer(ctx, dataport.Request{Kind: kind, Pool: row.Pool, Body: text}, http.Header{}, needs,
		func(class failure.Class, message, hint string) error { return lookProblem(class, message, hint, field) })
}

// lookProblem makes an answer of what a datasource could not tell. That the file or the database of a datasource
// is not there is no 404: the datasource is. What can not work as it is is the fault of the field, if there is one,
// else of the datasource's configuration.
func lookProblem(class failure.Class, message, hint, field string) error {
	detail := strings.TrimSpace(strings.TrimRight(message, ".") + ". " + hint)
	switch class {
	case failure.ConfigInvalid:
		if field != "" {
			return problem.New(http.StatusUnprocessableEntity, detail, problem.Field{Location: field, Message: message})
		}
	case failure.Unsupported:
		return problem.New(http.StatusUnprocessableEntity, detail)
	case failure.Timeout:
		return problem.New(http.StatusGatewayTimeout, detail)
	}
	return problem.New(http.StatusBadGateway, detail)
}
