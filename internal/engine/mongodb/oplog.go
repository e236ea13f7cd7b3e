package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readpref"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// oplog follows what changes in a database of a replica set while its collections are read one after the
// other. Replayed over them it makes the backup one of a single moment: the end of the dump.
type oplog struct {
	client   *session
	database string
	takes    func(collection string) bool
	from     primitive.Timestamp
	warned   map[string]bool
}

// entry is one of the oplog as it is read.
type entry struct {
	Change change `bson:",inline"`

	Previous struct {
		TS primitive.Timestamp `bson:"ts"`
	} `bson:"prevOpTime"`
	// Kind is 1 for writes that are in one entry and no transaction: Previous is of something else then.
	Kind int32 `bson:"multiOpType"`
}

// followOplog is nil where there is no oplog, which a warning says if the server should have one.
func (c *session) followOplog(ctx context.Context, database string, opts engine.DumpOptions) (*oplog, []string, error) {
	var hello struct {
		SetName string `bson:"setName"`
	}
	if err := c.Database("admin").RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Decode(&hello); err != nil {
		return nil, nil, classify("ask for the replica set", err)
	}
	if hello.SetName == "" || opts.OneStream {
		return nil, nil, nil
	}
	if mode := c.Database("local").ReadPreference().Mode(); mode != readpref.PrimaryMode {
		// mongodump may read from a member that is behind the one whose oplog is read.
		return nil, []string{"the collections were read one after the other, not at one moment: readPreference " + mode.String() + " of the uri may read from several members"}, nil
	}
	o := &oplog{client: c, database: database, warned: map[string]bool{}, takes: func(name string) bool {
		return !isServers(name) && !isOwn(name) && name != systemJS &&
			(len(opts.IncludeTables) == 0 || matchesAny(opts.IncludeTables, name)) && !matchesAny(opts.ExcludeTables, name)
	}}
	var err error
	o.from, err = o.newest(ctx)
	var refused mongo.ServerError
	if errors.Is(err, mongo.ErrNoDocuments) || (errors.As(err, &refused) && !mongo.IsNetworkError(err)) {
		return nil, []string{fmt.Sprintf("the collections were read one after the other, not at one moment: the user can not read the oplog of the replica set (grant it the role backup): %v", err)}, nil
	}
	return o, nil, classify("read the oplog", err)
}

func (o *oplog) entries() *mongo.Collection { return o.client.Database("local").Collection("oplog.rs") }

func (o *oplog) newest(ctx context.Context) (primitive.Timestamp, error) {
	var found struct {
		TS primitive.Timestamp `bson:"ts"`
	}
	err := o.entries().FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Decode(&found)
	return found.TS, err
}

// store hands the changes since the beginning to sink, if there are any. An oplog that has not kept them all
// leaves a backup that is good, but of no single moment.
func (o *oplog) store(ctx context.Context, sink engine.Sink) (warnings []string, err error) {
	until, err := o.newest(ctx)
	if err != nil {
		return nil, classify("read the oplog", err)
	}
	if until.Equal(o.from) {
		return nil, nil
	}
	gone := o.entries().FindOne(ctx, bson.D{{Key: "ts", Value: o.from}}).Err()
	if errors.Is(gone, mongo.ErrNoDocuments) {
		return []string{"the collections were read one after the other, not at one moment: the oplog is too small to hold what changed meanwhile (replSetResizeOplog makes it larger)"}, nil
	}
	if gone != nil {
		return nil, classify("read the oplog", gone)
	}
	if moved, err := o.renamedOlder(ctx, until); moved != "" || err != nil {
		return []string{fmt.Sprintf("the collections were read one after the other, not at one moment: collection %s, which was there before, got another name meanwhile", moved)}, err
	}
	cursor, err := o.entries().Find(ctx, o.filter(until), options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		return nil, classify("read the oplog", err)
	}
	defer cursor.Close(ctx)
	r := &changeReader{ctx: ctx, oplog: o, cursor: cursor}
	if err := r.fill(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(r.buffer) > 0 {
		err = sink(ctx, engine.Stream{Name: ChangesName, Format: ChangesFormat, Properties: map[string]string{
			propDatabase: o.database, propChanges: time.Unix(int64(until.T), 0).UTC().Format(time.RFC3339),
		}}, r)
	}
	for warning := range o.warned {
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings, err
}

// renamedOlder is a collection that was there before the dump and was renamed during it, "" is none. Whether it was
// read before, after or in the middle of that nobody knows, so its new name would be given to anything from
// nothing to all of it: mongodump refuses the same. One that was made meanwhile is in the oplog whole.
func (o *oplog) renamedOlder(ctx context.Context, until primitive.Timestamp) (string, error) {
	commands := append(o.filter(until), bson.E{Key: "op", Value: "c"})
	cursor, err := o.entries().Find(ctx, commands, options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		return "", classify("read the oplog", err)
	}
	defer cursor.Close(ctx)
	whole := map[string]bool{}
	for cursor.Next(ctx) {
		var e entry
		if err := cursor.Decode(&e); err != nil {
			return "", classify("read the oplog", err)
		}
		if database, _ := e.Change.collection(); database != o.database {
			continue
		}
		switch name, about := e.Change.command(); name {
		case "create":
			whole[about] = true
		case "drop":
			delete(whole, about)
		case "renameCollection":
			from, to := renamedFrom(e.Change, o.database), renamedTo(e.Change, o.database)
			if o.takes(from) && o.takes(to) && from != "" && to != "" && !whole[from] {
				return from, nil
			}
			delete(whole, from)
			whole[to] = true
		}
	}
	return "", classify("read the oplog", cursor.Err())
}

// filter takes what may be about the database: transactions are entries of the server.
func (o *oplog) filter(until primitive.Timestamp) bson.D {
	own := "^" + regexp.QuoteMeta(o.database) + `\.`
	return bson.D{
		{Key: "ts", Value: bson.D{{Key: "$gt", Value: o.from}, {Key: "$lte", Value: until}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "ns", Value: bson.D{{Key: "$regex", Value: own}}}},
			bson.D{{Key: "ns", Value: "admin.$cmd"}},
		}},
	}
}

// changes are those of the database that an entry stands for. A transaction is what its last entry says, and
// the entries before it that this names.
func (o *oplog) changes(ctx context.Context, e entry) ([]change, error) {
	if e.Change.Op != "c" {
		return o.taken(nil, e.Change), nil
	}
	switch name, _ := e.Change.command(); name {
	case "applyOps":
		if flag(e.Change.O, "partialTxn") || flag(e.Change.O, "prepare") {
			return nil, nil // the last one tells
		}
		if e.Kind == 1 {
			return o.inner(nil, e)
		}
		return o.transaction(ctx, &e, e.Previous.TS)
	case "commitTransaction":
		return o.transaction(ctx, nil, e.Previous.TS)
	default:
		return o.taken(nil, e.Change), nil
	}
}

// transaction walks back from an entry to the first one of its transaction.
func (o *oplog) transaction(ctx context.Context, last *entry, previous primitive.Timestamp) ([]change, error) {
	var chain []entry
	if last != nil {
		chain = append(chain, *last)
	}
	for !previous.IsZero() {
		var e entry
		if err := o.entries().FindOne(ctx, bson.D{{Key: "ts", Value: previous}}).Decode(&e); err != nil {
			return nil, classify("read a transaction in the oplog", err)
		}
		if name, _ := e.Change.command(); name != "applyOps" {
			break
		}
		chain, previous = append(chain, e), e.Previous.TS
	}
	var all []change
	for _, e := range slices.Backward(chain) {
		var err error
		if all, err = o.inner(all, e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// inner adds the operations of an applyOps.
func (o *oplog) inner(all []change, e entry) ([]change, error) {
	var command struct {
		Operations []change `bson:"applyOps"`
	}
	if err := bson.Unmarshal(e.Change.O, &command); err != nil {
		return nil, fmt.Errorf("read a transaction in the oplog: %w", err)
	}
	for _, c := range command.Operations {
		c.TS = e.Change.TS
		all = o.taken(all, c)
	}
	return all, nil
}

// taken adds what a restore can do over again. What it can not is told: the collection is as it was when it was read.
func (o *oplog) taken(all []change, c change) []change {
	c.V = 2
	database, collection := c.collection()
	if database != o.database {
		return all
	}
	if c.Op != "c" {
		if slices.Contains([]string{"i", "u", "d"}, c.Op) && o.takes(collection) {
			return append(all, c)
		}
		return all
	}
	name, about := c.command()
	switch name {
	case "create", "drop":
		if o.takes(about) {
			return append(all, c)
		}
	case "renameCollection":
		return o.renamed(all, c)
	case "createIndexes", "commitIndexBuild", "dropIndexes", "deleteIndexes", "collMod", "convertToCapped":
		if o.takes(about) {
			o.warned[fmt.Sprintf("indexes or options of collection %s changed during the backup, and may be in it as they were before", about)] = true
		}
	}
	return all
}

// renamed follows a collection from name to name, as far as both are in the backup.
func (o *oplog) renamed(all []change, c change) []change {
	from, to := renamedFrom(c, o.database), renamedTo(c, o.database)
	switch {
	case o.takes(from) && o.takes(to) && from != "" && to != "":
		return append(all, c)
	case from != "" && o.takes(from):
		drop, err := bson.Marshal(bson.D{{Key: "drop", Value: from}})
		if err == nil {
			c.O = drop
			return append(all, c)
		}
	case to != "" && o.takes(to):
		o.warned[fmt.Sprintf("collection %s was replaced during the backup by one that is not in it, and is in it as it was before", to)] = true
	}
	return all
}

func renamedFrom(c change, database string) string {
	_, from := c.command()
	return nameIn(database, from)
}

func renamedTo(c change, database string) string {
	to, _ := c.O.Lookup("to").StringValueOK()
	return nameIn(database, to)
}

// nameIn is the collection of a namespace, "" in another database.
func nameIn(database, namespace string) string {
	name, is := strings.CutPrefix(namespace, database+".")
	if !is {
		return ""
	}
	return name
}

func flag(document bson.Raw, name string) bool {
	on, _ := document.Lookup(name).BooleanOK()
	return on
}

// changeReader gives the changes as the stream has them.
type changeReader struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call of store
	oplog  *oplog
	cursor *mongo.Cursor
	buffer []byte
	ended  bool
}

// fill reads until there is something in the buffer, or the end.
func (r *changeReader) fill() error {
	for len(r.buffer) == 0 {
		if !r.cursor.Next(r.ctx) {
			r.ended = true
			if err := r.cursor.Err(); err != nil {
				return classify("read the oplog", err)
			}
			return io.EOF
		}
		var e entry
		if err := r.cursor.Decode(&e); err != nil {
			return classify("read the oplog", err)
		}
		changes, err := r.oplog.changes(r.ctx, e)
		if err != nil {
			return err
		}
		for _, c := range changes {
			document, err := bson.Marshal(c)
			if err != nil {
				return classify("copy the oplog", err)
			}
			r.buffer = append(r.buffer, document...)
		}
	}
	return nil
}

// Read implements io.Reader.
func (r *changeReader) Read(p []byte) (int, error) {
	if len(r.buffer) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buffer)
	r.buffer = r.buffer[n:]
	return n, nil
}
