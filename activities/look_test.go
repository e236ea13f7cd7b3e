package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// server is an engine that tells which database it was asked about.
type server struct{ engine.Engine }

func (server) Schema(_ context.Context, src engine.Source) (domain.Schema, error) {
	return domain.Schema{Databases: []string{src.Config.Database}}, nil
}

func (server) Query(_ context.Context, src engine.Source, statement string) (domain.QueryResult, error) {
	return domain.QueryResult{}, failure.New(failure.AuthFailed, "connect", statement+" with "+src.Config.Password, "It is not "+src.Config.Password)
}

func (server) Databases(context.Context, engine.Source) ([]string, error) {
	return []string{"orders", "private", "stock"}, nil
}

func TestALookIntoADatasourceStaysWithinIt(t *testing.T) {
	s := newSite(t)
	create := func(name string, kind domain.DatasourceType, config domain.ConnectionConfig) string {
		row, err := s.d.CreateDatasource(t.Context(), db.Datasource{Name: name, Type: kind, Enabled: true, Pool: "default", Config: config})
		require.NoError(t, err)
		return row.ID
	}
	one := create("one", domain.Postgres, domain.ConnectionConfig{Database: "orders", Password: "s3cret word"})
	every := create("every", domain.Postgres, domain.ConnectionConfig{Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"private"}}})
	unable := create("unable", domain.MongoDB, domain.ConnectionConfig{Database: "orders"})
	acts := activities.New(activities.Options{DB: s.d, Engines: map[domain.DatasourceType]engine.Engine{
		domain.Postgres: server{s.source}, domain.MongoDB: s.source,
	}})
	look := func(kind string, asked contract.DatasourceLook) (string, error) {
		if asked.Pool == "" {
			asked.Pool = "default"
		}
		body, err := json.Marshal(asked)
		require.NoError(t, err)
		content, err := acts.TransferSources()[kind](t.Context(), body)
		if err != nil {
			return "", err
		}
		var text bytes.Buffer
		require.NoError(t, content.Write(t.Context(), &text))
		return text.String(), nil
	}

	for name, test := range map[string]struct {
		asked     contract.DatasourceLook
		databases []string
	}{
		"its only database":               {contract.DatasourceLook{DatasourceID: one}, []string{"orders"}},
		"its only database by name":       {contract.DatasourceLook{DatasourceID: one, Database: "orders"}, []string{"orders"}},
		"one of all":                      {contract.DatasourceLook{DatasourceID: every, Database: "stock"}, []string{"stock"}},
		"those of a server, but excluded": {contract.DatasourceLook{DatasourceID: every}, []string{"orders", "stock"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := look(contract.TransferSchema, test.asked)
			require.NoError(t, err)
			var schema domain.Schema
			require.NoError(t, json.Unmarshal([]byte(text), &schema))
			require.Equal(t, test.databases, schema.Databases)
		})
	}
	for name, test := range map[string]struct {
		kind  string
		asked contract.DatasourceLook
		class failure.Class
	}{
		"another database of the server": {contract.TransferSchema, contract.DatasourceLook{DatasourceID: one, Database: "stock"}, failure.ConfigInvalid},
		"an excluded database":           {contract.TransferSchema, contract.DatasourceLook{DatasourceID: every, Database: "private"}, failure.ConfigInvalid},
		"a query of no database":         {contract.TransferQuery, contract.DatasourceLook{DatasourceID: every, Statement: "x"}, failure.ConfigInvalid},
		"a datasource that moved":        {contract.TransferSchema, contract.DatasourceLook{DatasourceID: one, Pool: "elsewhere"}, failure.ConfigInvalid},
		"a type without schemas":         {contract.TransferSchema, contract.DatasourceLook{DatasourceID: unable}, failure.Unsupported},
		"a type without SQL":             {contract.TransferQuery, contract.DatasourceLook{DatasourceID: unable, Statement: "x"}, failure.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := look(test.kind, test.asked)
			require.Equal(t, test.class, failure.ClassOf(err), "%v", err)
		})
	}
	_, err := look(contract.TransferQuery, contract.DatasourceLook{DatasourceID: one, Statement: "SELECT 1"})
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err))
	require.Contains(t, failure.Message(err), `datasource "one"`)
	require.NotContains(t, failure.Message(err), "s3cret")
}
