package mongodb_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// small makes a database with these collections, each of one document with the collection's name.
func small(t *testing.T, name string, collections ...string) engine.Source {
	t.Helper()
	dropAfter(t, name)
	for _, collection := range collections {
		insert(t, open(t).Database(name), collection, bson.D{{Key: "_id", Value: collection}})
	}
	return source(name)
}

// collections are the names of those that are not ours.
func collections(t *testing.T, database string) []string {
	t.Helper()
	var names []string
	for name := range content(t, source(database)).(map[string][]string) {
		names = append(names, name)
	}
	return names
}

func TestTheSameDataGivesTheSameBytes(t *testing.T) {
	src := newSample(t, "same")
	first, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 4})
	second, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{Jobs: 4})
	require.True(t, bytes.Equal(first.Bytes, second.Bytes))
}

// The driver makes the paths of sockets lower case.
func TestTheDirectoryOfTemporaryFilesMayHaveCapitals(t *testing.T) {
	src := small(t, "capitals", "kept")
	dir, err := os.MkdirTemp("", "Some Where")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	enginetest.Restore(t, newEngine(), src, archive.Request("cccc0042", fresh(t)), archive.Opener())
}

func TestCollectionsAreChosen(t *testing.T) {
	src := small(t, "chosen", "orders", "orders_old", "users", "tmp")
	for name, test := range map[string]struct {
		options engine.DumpOptions
		want    []string
	}{
		"by name":               {engine.DumpOptions{IncludeTables: []string{"users"}}, []string{"users"}},
		"by pattern":            {engine.DumpOptions{IncludeTables: []string{"orders*"}}, []string{"orders", "orders_old"}},
		"by what is left out":   {engine.DumpOptions{ExcludeTables: []string{"*_old", "tmp"}}, []string{"orders", "users"}},
		"by both":               {engine.DumpOptions{IncludeTables: []string{"orders*", "users"}, ExcludeTables: []string{"*_old"}}, []string{"orders", "users"}},
		"with nothing left out": {engine.DumpOptions{ExcludeTables: []string{"not there"}}, []string{"orders", "orders_old", "users", "tmp"}},
	} {
		t.Run(name, func(t *testing.T) {
			archive, _ := enginetest.Dump(t, newEngine(), src, test.options)
			target := fresh(t)
			enginetest.Restore(t, newEngine(), src, archive.Request("bbbb0001", target), archive.Opener())
			require.ElementsMatch(t, test.want, collections(t, target))
		})
	}
}

func TestACollectionThatDoesNotExistInIncludeTablesIsNamed(t *testing.T) {
	src := small(t, "included", "users")
	_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{IncludeTables: []string{"users", "usres"}})
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.Message(err), `"usres"`)
	require.Contains(t, failure.HintOf(err), "include_tables")
}

func TestNoSecretIsWhereOtherUsersSeeIt(t *testing.T) {
	src := small(t, "secret", "users")
	temp, err := os.MkdirTemp("", "t") // a short name, for the socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temp)) })
	t.Setenv("TMPDIR", temp)
	release := hold(t, src)
	dumped := make(chan error, 1)
	go func() {
		_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
		dumped <- err
	}()
	child := enginetest.AwaitChild(t, self(t))
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join(child, file))
		require.NoError(t, err)
		require.NotContains(t, string(text), mongodbserver.Password, file)
	}
	release()
	require.NoError(t, <-dumped)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left, "the child's socket")
}

func TestAURIConnects(t *testing.T) {
	small(t, "byuri", "users")
	const password = "p%40ss%3Aw%2Frd%25%3F%23"
	uri := func(password string) engine.Source {
		src := source("byuri")
		src.Config.Host, src.Config.Port, src.Config.Username, src.Config.Password, src.Config.SSLMode = "", 0, "", "", ""
		src.Config.URI = fmt.Sprintf("mongodb://%s:%s@127.0.0.1:%d/elsewhere?directConnection=true", mongodbserver.Username, password, front.port())
		src.Config.AuthSource = "admin"
		return src
	}
	archive, _ := enginetest.Dump(t, newEngine(), uri(password), engine.DumpOptions{})
	target := fresh(t)
	enginetest.Restore(t, newEngine(), uri(password), archive.Request("bbbb0002", target), archive.Opener())
	require.Equal(t, []string{"users"}, collections(t, target))

	wrong := uri("wr0ng;%2Fsecret")
	_, err := newEngine().Probe(enginetest.Context(t), wrong)
	enginetest.RequireClass(t, failure.AuthFailed, err)
	require.NotContains(t, failure.Message(err), "wr0ng")
}

// The child repeats its URI when the server does not let it in.
func TestWhatTheToolSaysHoldsNoSecret(t *testing.T) {
	src, ctx, admin := small(t, "says", "users"), enginetest.Context(t), open(t).Database("admin")
	require.NoError(t, admin.RunCommand(ctx, bson.D{{Key: "createUser", Value: "passing"}, {Key: "pwd", Value: "a;b/s3cret"}, {Key: "roles", Value: bson.A{}}}).Err())
	src.Config = domain.ConnectionConfig{
		Database: "says", AuthSource: "admin", URI: fmt.Sprintf("mongodb://passing:a;b%%2Fs3cret@127.0.0.1:%d/?directConnection=true", front.port()),
	}
	release := hold(t, src)
	dumped := make(chan error, 1)
	go func() {
		_, _, err := enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
		dumped <- err
	}()
	enginetest.AwaitChild(t, self(t))
	require.NoError(t, admin.RunCommand(ctx, bson.D{{Key: "dropUser", Value: "passing"}}).Err())
	release()
	err := <-dumped
	enginetest.RequireClass(t, failure.AuthFailed, err)
	require.Contains(t, err.Error(), "passing:", "the URI")
	require.NotContains(t, failure.Message(err), "s3cret")
}

func TestTheDatabasesAndFieldsOfAServerAreTold(t *testing.T) {
	src, ctx := newSample(t, "described"), enginetest.Context(t)
	names, err := newEngine().Databases(ctx, in(src, ""))
	require.NoError(t, err)
	require.Contains(t, names, "described")
	require.NotContains(t, names, "admin")
	_, err = newEngine().Probe(ctx, in(src, ""))
	require.NoError(t, err)
	estimate, err := newEngine().Estimate(ctx, in(src, ""))
	require.NoError(t, err)
	require.Positive(t, estimate.Bytes)

	schema, err := newEngine().Schema(ctx, src)
	require.NoError(t, err)
	require.Len(t, schema.Objects, sampleCollections)
	require.Contains(t, schema.Databases, "described")
	customers := schema.Objects[0]
	require.Equal(t, "customers", customers.Name)
	require.Equal(t, "collection", customers.Kind)
	require.Equal(t, int64(3000), customers.Rows)
	require.Positive(t, customers.Bytes)
	require.Len(t, customers.Columns, 3)
	require.Equal(t, "string", customers.Columns[1].Type)
	types := schema.Objects[4]
	require.Equal(t, "mixed", types.Columns[1].Type)

	_, err = newEngine().Schema(ctx, in(src, "missing"))
	enginetest.RequireClass(t, failure.NotFound, err)
}

func TestWhatARestoreKeepsInADatabaseIsNotBackedUp(t *testing.T) {
	src := small(t, "books", "users", "dg_bbbb0003_00000000_left")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	report := enginetest.Restore(t, newEngine(), src, archive.Request("bbbb0004", target), archive.Opener())
	require.Equal(t, 1, report.Tables)
	again, _ := enginetest.Dump(t, newEngine(), in(src, target), engine.DumpOptions{})
	require.NotContains(t, string(again.Bytes), "dataguardian_restore")
	tables, err := newEngine().Inspect(enginetest.Context(t), again.Stream, bytes.NewReader(again.Bytes))
	require.NoError(t, err)
	require.Equal(t, 1, tables)
}
