package activities

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// openSchema asks a datasource what it holds.
func (a *Activities) openSchema(ctx context.Context, body json.RawMessage) (dataport.Content, error) {
	return a.lookInto(ctx, body, func(e engine.Engine, look look) (any, error) {
		describer, ok := e.(engine.Describer)
		if !ok {
			return nil, unable(look.datasource, "show a schema")
		}
		if look.source.Config.Database == "" && look.source.Config.Databases != nil {
			return databasesOnly(ctx, e, look)
		}
		return describer.Schema(ctx, look.source)
	})
}

// openQuery runs one statement that reads.
func (a *Activities) openQuery(ctx context.Context, body json.RawMessage) (dataport.Content, error) {
	return a.lookInto(ctx, body, func(e engine.Engine, look look) (any, error) {
		querier, ok := e.(engine.Querier)
		if !ok {
			return nil, unable(look.datasource, "answer SQL")
		}
		if look.source.Config.Database == "" && look.source.Config.Databases != nil {
			return nil, failure.New(failure.ConfigInvalid, "run the statement", "the datasource has every database of its server", "Name one in database.")
		}
		return querier.Query(ctx, look.source, look.asked.Statement)
	})
}

// look is what is asked of which datasource.
type look struct {
	asked      contract.DatasourceLook
	datasource db.Datasource
	source     engine.Source
}

// lookInto asks the engine before the first byte is delivered, so that an error is one and not a transfer that
// breaks off. Answers are bounded, by domain.MaxQueryBytes and the like. Errors hold none of the datasource's
// secrets.
func (a *Activities) lookInto(ctx context.Context, body json.RawMessage, ask func(engine.Engine, look) (any, error)) (dataport.Content, error) {
	var l look
	if err := json.Unmarshal(body, &l.asked); err != nil {
		return dataport.Content{}, failure.Wrap(failure.Unsupported, "read what to ask", err, "")
	}
	var err error
	if l.datasource, err = a.DB.GetDatasource(ctx, l.asked.DatasourceID); err != nil {
		return dataport.Content{}, err
	}
	answer, err := a.answerOf(ctx, l, ask)
	if err != nil {
		return dataport.Content{}, withoutSecrets(failure.WithSubject(err, aboutDatasource(l.datasource.Name)), l.datasource.Config.SecretValues())
	}
	return asJSON(answer)
}

// asJSON is an answer that is known whole before its first byte is sent.
func asJSON(answer any) (dataport.Content, error) {
	text, err := json.Marshal(answer)
	if err != nil {
		return dataport.Content{}, failure.Wrap(failure.Unknown, "encode the answer", err, "")
	}
	return dataport.Content{Type: "application/json", Write: func(_ context.Context, w io.Writer) error {
		_, err := w.Write(text)
		return err
	}}, nil
}

func (a *Activities) answerOf(ctx context.Context, l look, ask func(engine.Engine, look) (any, error)) (answer any, err error) {
	if l.datasource.Pool != l.asked.Pool {
		return nil, failure.New(failure.ConfigInvalid, "look into the datasource", "it has moved to pool "+l.datasource.Pool, "Try again.")
	}
	e, err := a.engineFor(l.datasource.Type)
	if err != nil {
		return nil, err
	}
	if l.asked.Database != "" && !l.datasource.Config.Offers(l.datasource.Type, l.asked.Database) {
		return nil, failure.New(failure.ConfigInvalid, "look into the datasource", "database "+quoted(l.asked.Database)+" is not one of it", "")
	}
	err = a.reach(ctx, l.datasource, func(src engine.Source) (err error) {
		l.source = src
		if l.asked.Database != "" {
			l.source.Config.Database = l.asked.Database
		}
		answer, err = ask(e, l)
		return err
	})
	return answer, err
}

// databasesOnly is the schema of a server of which no database was chosen.
func databasesOnly(ctx context.Context, e engine.Engine, l look) (any, error) {
	lister, ok := e.(engine.DatabaseLister)
	if !ok {
		return nil, unable(l.datasource, "list databases")
	}
	names, err := lister.Databases(ctx, l.source)
	schema := domain.Schema{Objects: []domain.SchemaObject{}}
	for _, name := range names {
		if l.datasource.Config.Databases.Selects(name) {
			schema.Databases = append(schema.Databases, name)
		}
	}
	return schema, err
}

func unable(datasource db.Datasource, what string) error {
	return failure.New(failure.Unsupported, "look into the datasource", "this version can not "+what+" of a "+string(datasource.Type)+" datasource", "")
}

// withoutSecrets keeps of an error what a client is told.
func withoutSecrets(err error, secrets []string) error {
	return &failure.Error{Class: failure.ClassOf(err), Hint: failure.Redact(failure.HintOf(err), secrets...), Cause: errors.New(failure.Redact(err.Error(), secrets...))}
}
