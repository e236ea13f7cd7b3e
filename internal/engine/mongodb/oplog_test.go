package mongodb_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// replicaSet is a server that keeps an oplog, into which a test can also write what FerretDB never does.
type replicaSet struct {
	t      *testing.T
	client *mongo.Client
	src    engine.Source
}

func newReplicaSet(t *testing.T) *replicaSet {
	t.Helper()
	server, err := mongodbserver.Start(t.Context(), mongodbserver.Options{Dir: t.TempDir(), ReplicaSet: "rs0"})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?directConnection=true", server.Port)).
		SetAuth(options.Credential{Username: mongodbserver.Username, Password: mongodbserver.Password, PasswordSet: true, AuthSource: "admin"}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	require.NoError(t, client.Database("local").CreateCollection(t.Context(), "oplog.rs", options.CreateCollection().SetCapped(true).SetSizeInBytes(64<<20)))
	src := source("shop")
	src.Config.Port = server.Port
	r := &replicaSet{t: t, client: client, src: src}
	r.insert("orders", bson.D{{Key: "_id", Value: 1}, {Key: "state", Value: "new"}, {Key: "lines", Value: bson.A{1, 2, 3}}}, bson.D{{Key: "_id", Value: 2}, {Key: "state", Value: "new"}})
	r.insert("stock", bson.D{{Key: "_id", Value: "apples"}, {Key: "left", Value: 10}})
	_, err = client.Database("shop").Collection("orders").Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "state", Value: 1}}})
	require.NoError(t, err)
	return r
}

func (r *replicaSet) insert(collection string, documents ...any) {
	insert(r.t, r.client.Database("shop"), collection, documents...)
}

// dump backs shop up. meanwhile happens when the collections have been read and the dump has not ended.
func (r *replicaSet) dump(opts engine.DumpOptions, meanwhile func()) (enginetest.Archive, engine.Report) {
	r.t.Helper()
	var streams []enginetest.Archive
	report, err := newEngine().Dump(enginetest.Context(r.t), r.src, opts, func(_ context.Context, s engine.Stream, stream io.Reader) error {
		data, err := io.ReadAll(stream)
		streams = append(streams, enginetest.Archive{Stream: s, Bytes: data})
		if len(streams) == 1 {
			meanwhile()
		}
		return err
	})
	require.NoError(r.t, err)
	archive := streams[0]
	archive.Others = streams[1:]
	return archive, report
}

// restored is what a backup has in a new database, by collection and _id.
func (r *replicaSet) restored(archive enginetest.Archive, include ...string) (content map[string][]bson.D, warnings []string) {
	r.t.Helper()
	target := fmt.Sprintf("restored%d", databaseNumber.Add(1))
	for _, s := range archive.Streams() {
		_, err := newEngine().Inspect(enginetest.Context(r.t), s.Stream, bytes.NewReader(s.Bytes))
		require.NoError(r.t, err)
	}
	req := archive.Request("eeee0001", target)
	req.IncludeTables = include
	report := enginetest.Restore(r.t, newEngine(), r.src, req, archive.Opener())
	return r.content(target), report.Warnings
}

func (r *replicaSet) content(database string) map[string][]bson.D {
	r.t.Helper()
	names, err := r.client.Database(database).ListCollectionNames(r.t.Context(), bson.D{})
	require.NoError(r.t, err)
	all := map[string][]bson.D{}
	for _, name := range names {
		if isOurs(name) {
			continue
		}
		cursor, err := r.client.Database(database).Collection(name).Find(r.t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
		require.NoError(r.t, err)
		documents := []bson.D{}
		require.NoError(r.t, cursor.All(r.t.Context(), &documents))
		all[name] = documents
	}
	return all
}

// log writes an entry into the oplog as MongoDB writes it. It returns when.
func (r *replicaSet) log(op, ns, o string, more ...bson.E) primitive.Timestamp {
	r.t.Helper()
	// The server logs that this is written, too, behind it: with the same time, or a later one.
	var newest struct{ TS primitive.Timestamp }
	require.NoError(r.t, r.client.Database("local").Collection("oplog.rs").FindOne(r.t.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Decode(&newest))
	at := primitive.Timestamp{T: newest.TS.T, I: newest.TS.I + 1}
	entry := append(bson.D{{Key: "op", Value: op}, {Key: "ns", Value: ns}, {Key: "ts", Value: at}, {Key: "t", Value: int64(1)}, {Key: "v", Value: int64(2)}, {Key: "o", Value: extended(r.t, o)}}, more...)
	insert(r.t, r.client.Database("local"), "oplog.rs", entry)
	return at
}

// with is the backup with entries behind its others that FerretDB takes no document of.
func (r *replicaSet) with(archive enginetest.Archive, updates ...[2]string) enginetest.Archive {
	r.t.Helper()
	require.Len(r.t, archive.Others, 1)
	data := bytes.Clone(archive.Others[0].Bytes)
	for _, u := range updates {
		entry, err := bson.Marshal(bson.D{
			{Key: "ts", Value: primitive.Timestamp{T: 1}}, {Key: "v", Value: int64(2)}, {Key: "op", Value: "u"}, {Key: "ns", Value: "shop.orders"},
			{Key: "o", Value: extended(r.t, u[1])}, {Key: "o2", Value: extended(r.t, u[0])},
		})
		require.NoError(r.t, err)
		data = append(data, entry...)
	}
	archive.Others = []enginetest.Archive{{Stream: archive.Others[0].Stream, Bytes: data}}
	return archive
}

func of(t *testing.T, id string) bson.E { return bson.E{Key: "o2", Value: extended(t, id)} }

func after(at primitive.Timestamp) bson.E {
	return bson.E{Key: "prevOpTime", Value: bson.D{{Key: "ts", Value: at}, {Key: "t", Value: int64(1)}}}
}

func TestABackupOfAReplicaSetIsOfTheMomentItEnded(t *testing.T) {
	r := newReplicaSet(t)
	ctx, database := t.Context(), r.client.Database("shop")
	archive, report := r.dump(engine.DumpOptions{ExcludeTables: []string{"secret*"}}, func() {
		r.insert("orders", bson.D{{Key: "_id", Value: 3}, {Key: "state", Value: "new"}})
		_, err := database.Collection("orders").UpdateOne(ctx, bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "$set", Value: bson.D{{Key: "state", Value: "paid"}}}})
		require.NoError(t, err)
		_, err = database.Collection("orders").DeleteOne(ctx, bson.D{{Key: "_id", Value: 2}})
		require.NoError(t, err)
		r.insert("returns", bson.D{{Key: "_id", Value: "a new collection"}})
		r.insert("secrets", bson.D{{Key: "_id", Value: "is left out"}})
		insert(t, r.client.Database("other"), "orders", bson.D{{Key: "_id", Value: "of another database"}})
	})
	require.Empty(t, report.Warnings)
	require.Len(t, archive.Others, 1)
	require.Equal(t, "oplog", archive.Others[0].Stream.Name)
	require.NotContains(t, string(archive.Others[0].Bytes), "left out")
	require.NotContains(t, string(archive.Others[0].Bytes), "another database")
	want := r.content("shop")
	delete(want, "secrets")
	got, warnings := r.restored(archive)
	require.Empty(t, warnings)
	require.Equal(t, want, got)

	got, _ = r.restored(archive, "orders")
	require.Equal(t, map[string][]bson.D{"orders": want["orders"]}, got)

	_, known, err := newEngine().RecordedRows(archive.Request("eeee0002", "x").Streams)
	require.NoError(t, err)
	require.False(t, known, "the documents at the end were not counted")

	nothing, _ := r.dump(engine.DumpOptions{}, func() {})
	require.Empty(t, nothing.Others)
	one, _ := r.dump(engine.DumpOptions{OneStream: true}, func() { r.insert("orders", bson.D{{Key: "_id", Value: 4}}) })
	require.Empty(t, one.Others, "what is copied directly has one stream")
}

// FerretDB has no transactions and no updates as MongoDB writes them, so their entries are written by hand.
func TestWhatMongoDBWritesIntoTheOplogIsReplayed(t *testing.T) {
	r := newReplicaSet(t)
	var begun primitive.Timestamp
	archive, report := r.dump(engine.DumpOptions{}, func() {
		r.log("u", "shop.orders", `{"_id": 2, "replaced": true}`, of(t, `{"_id": 2}`))
		r.log("n", "", `{"msg": "periodic noop"}`)
		begun = r.log("c", "admin.$cmd", `{"applyOps": [{"op": "i", "ns": "shop.orders", "o": {"_id": 10, "of": "a long transaction"}}], "partialTxn": true}`, after(primitive.Timestamp{}))
		r.log("c", "admin.$cmd", `{"applyOps": [{"op": "i", "ns": "shop.orders", "o": {"_id": 11}}, {"op": "i", "ns": "other.orders", "o": {"_id": 12}}, {"op": "d", "ns": "shop.stock", "o": {"_id": "apples"}}], "count": 4}`, after(begun))
		prepared := r.log("c", "admin.$cmd", `{"applyOps": [{"op": "i", "ns": "shop.orders", "o": {"_id": 20, "of": "a prepared one"}}], "prepare": true}`, after(primitive.Timestamp{}))
		r.log("c", "admin.$cmd", `{"applyOps": [{"op": "i", "ns": "shop.orders", "o": {"_id": 30, "of": "an aborted one"}}], "prepare": true}`, after(primitive.Timestamp{}))
		r.log("c", "admin.$cmd", `{"abortTransaction": 1}`, after(prepared))
		r.log("c", "admin.$cmd", `{"commitTransaction": 1}`, after(prepared))
		r.log("c", "admin.$cmd", `{"applyOps": [{"op": "i", "ns": "shop.orders", "o": {"_id": 40, "of": "writes in one entry"}}]}`, after(begun), bson.E{Key: "multiOpType", Value: int32(1)})
		r.log("c", "shop.$cmd", `{"create": "totals", "idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}, "temp": true}`)
		r.log("i", "shop.totals", `{"_id": "sum", "of": 3}`)
		r.log("i", "shop.system.views", `{"_id": "shop.v"}`)
		r.log("c", "shop.$cmd", `{"create": "gone"}`)
		r.log("c", "shop.$cmd", `{"drop": "gone"}`)
		r.log("c", "shop.$cmd", `{"createIndexes": "orders", "v": 2, "key": {"x": 1}, "name": "x_1"}`)
		r.log("c", "other.$cmd", `{"drop": "orders"}`)
	})
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "indexes or options of collection orders")
	got, warnings := r.restored(r.with(archive,
		[2]string{`{"_id": 1}`, `{"$v": 2, "diff": {"u": {"state": "paid"}, "slines": {"a": true, "l": 2, "u0": 9}}}`},
		[2]string{`{"_id": 1}`, `{"$v": 2, "diff": {"i": {"note": "twice in one batch"}}}`},
		[2]string{`{"_id": 99}`, `{"$v": 2, "diff": {"u": {"state": "of nobody"}}}`},
		[2]string{`{"_id": 11}`, `{"$v": 1, "$set": {"a.b": 1}}`},
	))
	require.Empty(t, warnings)
	require.Equal(t, map[string][]bson.D{
		"orders": {
			extended(t, `{"_id": 1, "state": "paid", "lines": [9, 2], "note": "twice in one batch"}`), extended(t, `{"_id": 2, "replaced": true}`),
			extended(t, `{"_id": 10, "of": "a long transaction"}`), extended(t, `{"_id": 11, "a": {"b": 1}}`), extended(t, `{"_id": 20, "of": "a prepared one"}`), extended(t, `{"_id": 40, "of": "writes in one entry"}`),
		},
		"stock":  {},
		"totals": {extended(t, `{"_id": "sum", "of": 3}`)},
	}, got)
}

func TestACollectionThatWasRenamedMeanwhileHasItsNewName(t *testing.T) {
	r := newReplicaSet(t)
	archive, _ := r.dump(engine.DumpOptions{ExcludeTables: []string{"hidden*"}}, func() {
		r.log("c", "shop.$cmd", `{"create": "summary_new"}`)
		r.log("i", "shop.summary_new", `{"_id": 1}`)
		r.log("c", "shop.$cmd", `{"renameCollection": "shop.summary_new", "to": "shop.stock", "dropTarget": true, "stayTemp": false}`)
		r.log("c", "shop.$cmd", `{"renameCollection": "shop.orders", "to": "shop.hidden_orders"}`)
	})
	got, warnings := r.restored(archive)
	require.Empty(t, warnings)
	require.Equal(t, map[string][]bson.D{"stock": {extended(t, `{"_id": 1}`)}}, got)

	_, report := r.dump(engine.DumpOptions{ExcludeTables: []string{"hidden*"}}, func() {
		r.log("c", "shop.$cmd", `{"renameCollection": "shop.hidden", "to": "shop.stock"}`)
	})
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "collection stock was replaced")
}

// A backup whose changes this version can not read still restores, with what the collections were.
func TestAChangeThatCanNotBeMadeIsAWarning(t *testing.T) {
	r := newReplicaSet(t)
	archive, _ := r.dump(engine.DumpOptions{}, func() { r.insert("stock", bson.D{{Key: "_id", Value: "pears"}}) })
	got, warnings := r.restored(r.with(archive, [2]string{`{"_id": 1}`, `{"$v": 2, "diff": {"z": {"of": "a later version"}}}`}))
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "collection orders is as it was")
	require.Len(t, got["orders"], 2)
	require.Contains(t, got["stock"], extended(t, `{"_id": "pears"}`))
}

func TestAnOplogThatDoesNotHoldEverythingIsAWarning(t *testing.T) {
	r := newReplicaSet(t)
	archive, report := r.dump(engine.DumpOptions{}, func() {
		_, err := r.client.Database("local").Collection("oplog.rs").DeleteMany(t.Context(), bson.D{})
		require.NoError(t, err)
		r.insert("orders", bson.D{{Key: "_id", Value: 3}})
	})
	require.Empty(t, archive.Others)
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "oplog is too small")

	require.NoError(t, r.client.Database("local").Collection("oplog.rs").Drop(t.Context()))
	_, report = r.dump(engine.DumpOptions{}, func() {})
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "role backup")

	r.src.Config = domain.ConnectionConfig{Database: "shop", URI: fmt.Sprintf("mongodb://%s@127.0.0.1:%d/?directConnection=true&readPreference=secondaryPreferred&authSource=admin",
		url.UserPassword(r.src.Config.Username, r.src.Config.Password), r.src.Config.Port)}
	_, report = r.dump(engine.DumpOptions{}, func() {})
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "readPreference")
}

func TestDamagedChangesFailARestore(t *testing.T) {
	r := newReplicaSet(t)
	archive, _ := r.dump(engine.DumpOptions{}, func() { r.insert("orders", bson.D{{Key: "_id", Value: 3}}) })
	for name, data := range map[string][]byte{
		"cut off":      archive.Others[0].Bytes[:len(archive.Others[0].Bytes)-3],
		"no documents": []byte("\x05\x00\x00\x00\x01"),
		"no change":    {5, 0, 0, 0, 0},
	} {
		_, err := newEngine().Inspect(enginetest.Context(t), archive.Others[0].Stream, bytes.NewReader(data))
		enginetest.RequireClass(t, failure.Corrupt, err)
		damaged := archive
		damaged.Others = []enginetest.Archive{{Stream: archive.Others[0].Stream, Bytes: data}}
		_, err = newEngine().Stage(enginetest.Context(t), r.src, damaged.Request("eeee0003", "damaged"), damaged.Opener())
		enginetest.RequireClass(t, failure.Corrupt, err)
		require.Empty(t, r.content("damaged"), name)
	}
}

// Nobody knows how much of it was read before it had its new name.
func TestACollectionThatWasThereBeforeAndIsRenamedMeanwhileLeavesTheChangesAway(t *testing.T) {
	r := newReplicaSet(t)
	archive, report := r.dump(engine.DumpOptions{}, func() {
		r.log("c", "shop.$cmd", `{"create": "summary_new"}`)
		r.log("c", "shop.$cmd", `{"renameCollection": "shop.summary_new", "to": "shop.summary"}`)
		r.log("c", "shop.$cmd", `{"renameCollection": "shop.orders", "to": "shop.stock", "dropTarget": true}`)
	})
	require.Empty(t, archive.Others)
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "collection orders, which was there before")
	got, _ := r.restored(archive)
	require.Len(t, got["orders"], 2, "each is as it was when it was read")
	require.NotEmpty(t, got["stock"])
}
