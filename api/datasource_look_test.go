package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// serveLooks is a worker's data port that answers every look with answer, or fails, and remembers what it was
// asked last.
func (f *fixture) serveLooks(answer string, fails error) *contract.DatasourceLook {
	f.t.Helper()
	asked := &contract.DatasourceLook{}
	source := func(_ context.Context, body json.RawMessage) (dataport.Content, error) {
		*asked = contract.DatasourceLook{}
		require.NoError(f.t, json.Unmarshal(body, asked))
		return dataport.Content{Type: "application/json", Write: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, answer)
			return err
		}}, fails
	}
	port, err := dataport.Serve(dataport.Options{
		Listen: "127.0.0.1:0", Key: dataport.Key(f.db.TransferKey()), Pools: []string{"default"}, Logger: f.server.log,
		Sources: map[string]dataport.Source{contract.TransferSchema: source, contract.TransferQuery: source},
	})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { port.Stop(context.Background()) })
	offer := port.Offer()
	answers(f, contract.TransferOffer{URL: offer.URL, Certificate: offer.Certificate, MAC: offer.MAC})
	return asked
}

func TestAQueryGoesToAWorkerAndNotThroughTemporal(t *testing.T) {
	f := signedIn(t)
	id := f.call("POST", "/api/datasources", datasourceBody("orders")).ok(201).get("id").(string)
	asked := f.serveLooks(`{"columns":[],"rows":[[1,"9007199254740993",null]],"truncated":false,"duration_ms":3}`, nil)
	statement := "SELECT 'top secret rows'"
	answer := f.call("POST", "/api/datasources/"+id+"/query", object{"statement": statement}).ok(200)
	require.JSONEq(t, `{"columns":[],"rows":[[1,"9007199254740993",null]],"truncated":false,"duration_ms":3}`, answer.text)
	require.Equal(t, "application/json", answer.header.Get("Content-Type"))
	require.Equal(t, contract.DatasourceLook{DatasourceID: id, Pool: "default", Statement: statement}, *asked)
	require.Equal(t, contract.TransferInput{Pool: "default"}, started[contract.TransferInput](f, "OpenTransfer"))
	require.NotContains(t, f.log.String(), "top secret")

	for name, long := range map[string]string{
		"of letters": strings.Repeat("x", 16384), "that JSON writes longer": strings.Repeat("<", 16384), "that UTF-8 writes longer": strings.Repeat("😀", 16384),
	} {
		t.Run("the longest statement "+name, func(t *testing.T) {
			f.call("POST", "/api/datasources/"+id+"/query", object{"statement": long}).ok(200)
			require.Equal(t, long, asked.Statement)
		})
	}
	f.call("POST", "/api/datasources/"+id+"/query", object{"statement": strings.Repeat("x", 16385)}).problem(422)
}

func TestEveryQueryIsAuditedWithoutSecrets(t *testing.T) {
	f := signedIn(t)
	body := datasourceBody("orders")
	id := f.call("POST", "/api/datasources", body).ok(201).get("id").(string)
	row, err := f.db.GetDatasource(t.Context(), id)
	require.NoError(t, err)
	require.NotEmpty(t, row.Config.Password)
	f.serveLooks("", failure.New(failure.ConfigInvalid, "run the statement", "syntax error", "Give one SELECT."))
	f.call("POST", "/api/datasources/"+id+"/query", object{"statement": "SELECT '" + row.Config.Password + "' -- IDENTIFIED BY 'p''w' PASSWORD 'other' password=third"}).problem(422)
	entries := f.audits("datasource.query")
	require.Len(t, entries, 1, "also of one that fails")
	require.Equal(t, id, entries[0].ResourceID)
	text := fmt.Sprint(entries[0])
	require.Contains(t, text, "SELECT '********' -- IDENTIFIED BY '********' PASSWORD '********' password=********")
	for _, secret := range []string{row.Config.Password, "p''w", "other", "third"} {
		require.NotContains(t, text, secret)
	}
}

func TestALookNeedsItsPermission(t *testing.T) {
	f := signedIn(t)
	id := f.call("POST", "/api/datasources", datasourceBody("orders")).ok(201).get("id").(string)
	f.serveLooks(`{"objects":[],"truncated":false}`, nil)
	path := "/api/datasources/" + id
	query := object{"statement": "SELECT 1"}
	reader := f.as(auth.DatasourcesRead)
	reader.call("GET", path+"/schema", nil).ok(200)
	reader.call("POST", path+"/query", query).problem(http.StatusForbidden)
	require.Empty(t, f.audits("datasource.query"))
	f.serveLooks(`{"columns":[],"rows":[],"truncated":false,"duration_ms":1}`, nil)
	querier := f.as(auth.DatasourcesQuery)
	querier.call("POST", path+"/query", query).ok(200)
	querier.call("GET", path+"/schema", nil).problem(http.StatusForbidden)
	f.as(auth.StorageDownload).call("GET", path+"/schema", nil).problem(http.StatusForbidden)
}

func TestWhatAWorkerCanNotTellIsAProblem(t *testing.T) {
	f := signedIn(t)
	id := f.call("POST", "/api/datasources", datasourceBody("orders")).ok(201).get("id").(string)
	path := "/api/datasources/" + id
	for class, status := range map[failure.Class]int{
		failure.ConfigInvalid: 422, failure.Unsupported: 422, failure.Timeout: 504, failure.NotFound: 502, failure.AuthFailed: 502, failure.Unreachable: 502, failure.Unknown: 502,
	} {
		f.serveLooks("", failure.New(class, "run the statement", "it went wrong", "Do this."))
		require.Equal(t, "run the statement: it went wrong. Do this.", f.call("POST", path+"/query", object{"statement": "SELECT 1"}).problem(status).Detail, class)
		if class == failure.ConfigInvalid {
			status = 502 // nothing of the request is wrong
		}
		f.call("GET", path+"/schema", nil).problem(status)
	}
	f.serveLooks(`{}`, nil)
	require.Contains(t, f.call("POST", path+"/query", object{"statement": "  "}).wrong("statement"), "empty")
	require.Contains(t, f.call("POST", path+"/query", object{"statement": "SELECT 1", "database": "other"}).problem(422).Detail, "no database of datasource orders")
	f.call("GET", path+"/schema?database=other", nil).problem(422)
	f.call("GET", "/api/datasources/00000000-0000-7000-8000-000000000000/schema", nil).problem(404)
	answers(f, contract.TransferOffer{Off: true})
	require.Contains(t, f.call("GET", path+"/schema", nil).problem(503).Detail, "DATAGUARDIAN_DATA_LISTEN")
}

func TestADatabaseOfAServerIsChosen(t *testing.T) {
	f := signedIn(t)
	body := datasourceBody("all")
	config := body["connection_config"].(object)
	delete(config, "database")
	config["databases"] = object{"all": true, "exclude": []string{"private_*"}}
	id := f.call("POST", "/api/datasources", body).ok(201).get("id").(string)
	asked := f.serveLooks(`{"objects":[],"truncated":false}`, nil)
	f.call("GET", "/api/datasources/"+id+"/schema?database=orders", nil).ok(200)
	require.Equal(t, contract.DatasourceLook{DatasourceID: id, Pool: "default", Database: "orders"}, *asked)
	f.call("GET", "/api/datasources/"+id+"/schema?database=private_1", nil).problem(422)
	f.call("POST", "/api/datasources/"+id+"/query", object{"statement": "SELECT 1", "database": "private_1"}).problem(422)
}
