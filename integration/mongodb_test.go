package integration

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
)

// startMongoDB starts one FerretDB for the test binary when the first test asks for it.
var startMongoDB = sync.OnceValues(func() (*mongodbserver.Server, error) {
	dir := filepath.Join(shared.dir, "mongodb")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	server, err := mongodbserver.Start(context.Background(), mongodbserver.Options{Dir: dir})
	if err == nil {
		shared.onClose(server.Stop)
	}
	return server, err
})

// mongoSetup is one test's own MongoDB database, datasource, storage location and job.
type mongoSetup struct {
	*setup
	client *mongo.Client
}

func newMongoSetup(t *testing.T) *mongoSetup {
	t.Helper()
	t.Parallel()
	server, err := startMongoDB()
	require.NoError(t, err)
	ctx := t.Context()
	connection, err := mongo.Connect(ctx, options.Client().ApplyURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?directConnection=true", server.Port)).
		SetAuth(options.Credential{Username: mongodbserver.Username, Password: mongodbserver.Password, PasswordSet: true, AuthSource: "admin"}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Disconnect(context.Background()) })
	s := &mongoSetup{setup: &setup{database: unique(t), storagePath: filepath.Join(t.TempDir(), "backups")}, client: connection}
	s.datasource, err = shared.owner.Datasources.Create(ctx, client.DatasourceDocument{
		Name: s.database + " source", Type: domain.MongoDB,
		ConnectionConfig: domain.ConnectionConfig{
			Host: "127.0.0.1", Port: server.Port, Database: s.database, Username: mongodbserver.Username, Password: mongodbserver.Password,
		},
	})
	require.NoError(t, err)
	s.storage, err = shared.owner.StorageLocations.Create(ctx, client.StorageLocationDocument{
		Name: s.database + " disk", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: s.storagePath},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(ctx, client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: s.database, DatasourceID: s.datasource.ID, StorageLocationID: s.storage.ID,
		BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	return s
}

// fillMongo makes every type that FerretDB has, indexes, and orders of about n kB.
func (s *mongoSetup) fillMongo(t *testing.T, n int) {
	t.Helper()
	ctx, database := t.Context(), s.client.Database(s.database)
	_, err := database.Collection("types").InsertOne(ctx, bson.D{
		{Key: "_id", Value: primitive.ObjectID{1}}, {Key: "double", Value: 1.5}, {Key: "string", Value: "ünï 漢 🙂"},
		{Key: "object", Value: bson.D{{Key: "b", Value: 1}, {Key: "a", Value: 2}}}, {Key: "array", Value: bson.A{int32(1), "two", nil}},
		{Key: "binary", Value: primitive.Binary{Subtype: 4, Data: make([]byte, 16)}}, {Key: "bool", Value: true},
		{Key: "date", Value: primitive.DateTime(1)}, {Key: "null", Value: nil}, {Key: "regex", Value: primitive.Regex{Pattern: "^a", Options: "i"}},
		{Key: "int32", Value: int32(-1)}, {Key: "timestamp", Value: primitive.Timestamp{T: 1, I: 2}}, {Key: "int64", Value: int64(1) << 60},
	})
	require.NoError(t, err)
	var orders []any
	for i := range n {
		// Text in which chunks find where to end: where the order of the collections changes, so does where each begins.
		var text strings.Builder
		for part := range 15 {
			fmt.Fprintf(&text, "%x", sha256.Sum256(fmt.Append(nil, i, part)))
		}
		orders = append(orders, bson.D{{Key: "_id", Value: i}, {Key: "text", Value: text.String()}})
	}
	_, err = database.Collection("orders").InsertMany(ctx, orders)
	require.NoError(t, err)
	_, err = database.Collection("orders").Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "text", Value: 1}}, Options: options.Index().SetUnique(true)})
	require.NoError(t, err)
}

// content is every document and index of a database.
func (s *mongoSetup) content(t *testing.T, name string) map[string][]string {
	t.Helper()
	ctx, database, all := t.Context(), s.client.Database(name), map[string][]string{}
	names, err := database.ListCollectionNames(ctx, bson.D{})
	require.NoError(t, err)
	for _, collection := range names {
		if collection == "dataguardian_restore" { // says which restore the database came from
			continue
		}
		cursor, err := database.Collection(collection).Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
		require.NoError(t, err)
		lines := []string{}
		for cursor.Next(ctx) {
			lines = append(lines, cursor.Current.String())
		}
		require.NoError(t, cursor.Err())
		indexes, err := database.Collection(collection).Indexes().ListSpecifications(ctx)
		require.NoError(t, err)
		for _, index := range indexes {
			lines = append(lines, fmt.Sprint(index.Name, index.KeysDocument, index.Unique != nil && *index.Unique))
		}
		all[collection] = lines
	}
	return all
}

func (s *mongoSetup) restoreInto(t *testing.T, backup client.Execution, change func(*client.RestoreRequest)) client.Execution {
	t.Helper()
	request := client.RestoreRequest{TargetDatasourceID: s.datasource.ID, ConfirmationPhrase: client.ConfirmRestore(s.datasource.Name)}
	change(&request)
	e, err := shared.owner.Restore(t.Context(), backup.ID, request)
	require.NoError(t, err)
	return wait(t, e)
}

func TestAMongoDBDatabaseIsBackedUpFullAndIncrementallyAndEachRestores(t *testing.T) {
	s := newMongoSetup(t)
	s.fillMongo(t, 8000)
	checked := s.testDatasource(t)
	require.NotEmpty(t, checked.ServerVersion)
	full := s.backUp(t)
	require.Equal(t, domain.Completed, full.Status, full.ErrorMessage)
	asOfFull := s.content(t, s.database)

	orders := s.client.Database(s.database).Collection("orders")
	_, err := orders.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: 7900}}, bson.D{{Key: "$set", Value: bson.D{{Key: "text", Value: "changed"}}}})
	require.NoError(t, err)
	_, err = s.client.Database(s.database).Collection("since").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}})
	require.NoError(t, err)
	increment := s.backUpAs(t, domain.Incremental)
	require.Positive(t, increment.Metadata.ReusedChunks)
	require.Less(t, increment.CompressedSizeBytes, full.CompressedSizeBytes)
	asOfIncrement := s.content(t, s.database)
	require.NotEqual(t, asOfFull, asOfIncrement)

	for name, test := range map[string]struct {
		backup client.Execution
		want   map[string][]string
	}{
		"_full":      {full, asOfFull},
		"_increment": {increment, asOfIncrement},
	} {
		target := s.database + name
		restored := s.restoreInto(t, test.backup, func(r *client.RestoreRequest) { r.TargetDatabase = target })
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		require.Equal(t, test.want, s.content(t, target), name)
	}

	refused := s.restoreInto(t, full, func(r *client.RestoreRequest) { r.TargetDatabase = s.database })
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.ErrorMessage+refused.Metadata.Hint, "drop_existing")
	replaced := s.restoreInto(t, full, func(r *client.RestoreRequest) { r.TargetDatabase, r.DropExisting = s.database, true })
	require.Equal(t, domain.Completed, replaced.Status, replaced.ErrorMessage)
	require.Equal(t, asOfFull, s.content(t, s.database))

	verified := s.restoreInto(t, increment, func(r *client.RestoreRequest) { r.VerificationMode, r.ConfirmationPhrase = true, client.ConfirmVerify })
	require.Equal(t, domain.Completed, verified.Status, verified.ErrorMessage)
	names, err := s.client.ListDatabaseNames(t.Context(), bson.D{})
	require.NoError(t, err)
	for _, name := range names {
		require.NotContains(t, name, "dataguardian_verify")
	}
	s.requireNowhere(t, full, mongodbserver.Password)
}
