package mongodb_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// values are BSON's types. FerretDB refuses the ones of refused.
var values = map[string]any{
	"double": 1.5, "smallest double": math.SmallestNonzeroFloat64, "largest double": math.MaxFloat64,
	"string": "ünïcödé 漢字 \x01 🙂", "empty string": "", "object": bson.D{{Key: "b", Value: 1}, {Key: "a", Value: bson.D{}}},
	"array": bson.A{int32(1), "two", bson.D{}, nil}, "binary": primitive.Binary{Subtype: 0, Data: []byte{0, 255, 1}},
	"uuid": primitive.Binary{Subtype: 4, Data: make([]byte, 16)}, "user binary": primitive.Binary{Subtype: 0x80, Data: []byte("x")},
	"object id": primitive.ObjectID{1, 2, 3}, "true": true, "false": false, "date": primitive.NewDateTimeFromTime(moment),
	"old date": primitive.DateTime(-62135596800000), "null": nil, "regex": primitive.Regex{Pattern: "^a.*", Options: "i"},
	"int32": int32(math.MinInt32), "timestamp": primitive.Timestamp{T: 7, I: 9}, "int64": int64(math.MaxInt64),
}

var refused = map[string]any{
	"infinity": math.Inf(1), "array in an array": bson.A{bson.A{}}, "decimal": primitive.NewDecimal128(1, 2), "min key": primitive.MinKey{}, "max key": primitive.MaxKey{},
	"code": primitive.JavaScript("f()"), "symbol": primitive.Symbol("s"),
}

// sampleCollections are made by newSample.
const sampleCollections = 5

func newSample(t *testing.T, name string) engine.Source {
	t.Helper()
	dropAfter(t, name)
	ctx, database := context.Background(), open(t).Database(name)
	insert(t, database, "types", typesDocuments()...)
	customers := make([]any, 3000)
	for i := range customers {
		customers[i] = bson.D{{Key: "_id", Value: i}, {Key: "name", Value: fmt.Sprintf("customer %d", i)}, {Key: "note", Value: strings.Repeat("n", i%100)}}
	}
	insert(t, database, "customers", customers...)
	_, err := database.Collection("customers").Indexes().CreateMany(ctx, []mongo.IndexModel{
		{Keys: bson.D{{Key: "name", Value: 1}}, Options: options.Index().SetUnique(true)},
		{Keys: bson.D{{Key: "note", Value: -1}, {Key: "name", Value: 1}}, Options: options.Index().SetName("by note")},
	})
	require.NoError(t, err)
	require.NoError(t, database.CreateCollection(ctx, "nothing"))
	require.NoError(t, database.CreateCollection(ctx, "newest", options.CreateCollection().SetCapped(true).SetSizeInBytes(1<<20)))
	insert(t, database, "newest", bson.D{{Key: "_id", Value: 1}})
	insert(t, database, "näme with spaces and %2F 漢", bson.D{{Key: "_id", Value: "x"}})
	return source(name)
}

func typesDocuments() []any {
	var documents []any
	for name, value := range values {
		documents = append(documents, bson.D{{Key: "_id", Value: name}, {Key: "v", Value: value}})
	}
	return documents
}

func insert(t *testing.T, database *mongo.Database, collection string, documents ...any) {
	t.Helper()
	_, err := database.Collection(collection).InsertMany(context.Background(), documents)
	require.NoError(t, err)
}
