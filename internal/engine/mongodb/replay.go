package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// A batch of changes is of one collection, and at most so many, and about so many bytes.
const (
	replayBatch = 200
	replayBytes = 8 << 20
)

// replay makes the changes of the backup in the collections that were loaded, which are those of the end of
// the dump then. A change that was read with its document already is made over again and changes nothing. It
// takes no more rights than the load: the server's own applyOps wants all.
type replay struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call
	s      *staging
	found  *contents
	takes  *engine.Choice
	batch  []change
	bytes  int              // of batch
	of     string           // the collection of batch, by its own name
	failed map[string]error // the first change of each collection that could not be made
}

// replay brings what was loaded to the end of the dump, if the backup has what changed.
func (s *staging) replay(ctx context.Context, open engine.Opener, found *contents) error {
	stream, has := changesStream(s.req.Streams)
	if !has {
		return nil
	}
	changes, err := open(ctx, stream.Name, 0)
	if err != nil {
		return failure.Wrap(failure.ClassOf(err), "open the changes", err, "")
	}
	defer changes.Close()
	r := &replay{ctx: ctx, s: s, found: found, takes: engine.NewChoice(s.req.IncludeTables), failed: map[string]error{}}
	err = eachChange(changes, r.make)
	if err == nil {
		err = r.flush()
	}
	for collection, why := range r.failed {
		s.warnings = append(s.warnings, fmt.Sprintf("collection %s is as it was while it was read, not as at the end of the backup: %v", collection, why))
	}
	slices.Sort(s.warnings)
	return err
}

func (r *replay) make(c change) error {
	if c.Op == "c" {
		if err := r.flush(); err != nil {
			return err
		}
		return r.command(c)
	}
	_, collection := c.collection()
	if !r.takes.Takes(collection) || isServers(collection) {
		return nil
	}
	if collection != r.of || len(r.batch) >= replayBatch || r.bytes >= replayBytes {
		if err := r.flush(); err != nil {
			return err
		}
		r.of = collection
	}
	r.add(collection)
	if c.id().IsZero() {
		r.fail(collection, errors.New("a change names no _id"))
		return nil
	}
	r.batch, r.bytes = append(r.batch, c), r.bytes+len(c.O)
	return nil
}

// add knows a collection that is made by its first document.
func (r *replay) add(collection string) {
	if !slices.Contains(r.found.names, collection) {
		r.found.names = append(r.found.names, collection)
		r.found.collections++
	}
}

func (r *replay) fail(collection string, why error) {
	if r.failed[collection] == nil {
		r.failed[collection] = why
	}
}

func (r *replay) collection(name string) *mongo.Collection {
	return r.s.client.Database(r.s.names.database).Collection(r.s.prefix + name)
}

// flush makes the changes of the batch, in their order.
func (r *replay) flush() error {
	batch := r.batch
	r.batch, r.bytes = nil, 0
	documents, err := r.documents(batch)
	if err != nil {
		return err
	}
	var models []mongo.WriteModel
	for _, c := range batch {
		model, err := modelOf(c, documents)
		if err != nil {
			r.fail(r.of, err)
		} else if model != nil {
			models = append(models, model)
		}
	}
	if len(models) == 0 {
		return nil
	}
	_, err = r.collection(r.of).BulkWrite(r.ctx, models, options.BulkWrite().SetOrdered(true))
	return classify("make the changes in collection "+r.of, err)
}

// documents are those of a batch that are changed by a difference, by their ids.
func (r *replay) documents(batch []change) (map[string]bson.D, error) {
	documents := map[string]bson.D{}
	ids := bson.A{}
	for _, c := range batch {
		if _, has := c.diff(); has {
			ids = append(ids, c.id())
		}
	}
	if len(ids) == 0 {
		return documents, nil
	}
	op := "read documents of collection " + r.of
	cursor, err := r.collection(r.of).Find(r.ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		return nil, classify(op, err)
	}
	defer cursor.Close(r.ctx)
	for cursor.Next(r.ctx) {
		var document bson.D
		if err := cursor.Decode(&document); err != nil {
			return nil, classify(op, err)
		}
		documents[idKey(cursor.Current.Lookup("_id"))] = document
	}
	return documents, classify(op, cursor.Err())
}

func idKey(id bson.RawValue) string { return string(append([]byte{byte(id.Type)}, id.Value...)) }

// modelOf is a change as a write, nil for none: an update of a document that is not there, which a later
// change deletes. documents are kept as they are after it.
func modelOf(c change, documents map[string]bson.D) (mongo.WriteModel, error) {
	filter, key := bson.D{{Key: "_id", Value: c.id()}}, idKey(c.id())
	replace := mongo.NewReplaceOneModel().SetFilter(filter)
	switch c.Op {
	case "d":
		delete(documents, key)
		return mongo.NewDeleteOneModel().SetFilter(filter), nil
	case "i":
		return replace.SetReplacement(c.O).SetUpsert(true), keep(documents, key, c.O)
	}
	if raw, has := c.diff(); has {
		var diff bson.D
		document, there := documents[key]
		if !there {
			return nil, nil //nolint:nilnil // nothing to do
		}
		if err := raw.Unmarshal(&diff); err != nil {
			return nil, err
		}
		document, err := patched(document, diff)
		if err != nil {
			return nil, err
		}
		documents[key] = document
		return replace.SetReplacement(document), nil
	}
	var update bson.D
	if err := bson.Unmarshal(c.O, &update); err != nil {
		return nil, err
	}
	update = slices.DeleteFunc(update, func(e bson.E) bool { return e.Key == "$v" })
	if len(update) > 0 && strings.HasPrefix(update[0].Key, "$") {
		return mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(update), nil
	}
	return replace.SetReplacement(c.O), keep(documents, key, c.O)
}

func keep(documents map[string]bson.D, key string, raw bson.Raw) error {
	var document bson.D
	err := bson.Unmarshal(raw, &document)
	documents[key] = document
	return err
}

// command makes, removes and renames collections as the source's were.
func (r *replay) command(c change) error {
	database, _ := c.collection()
	switch name, about := c.command(); name {
	case "create":
		if !r.takes.Takes(about) || slices.Contains(r.found.names, about) {
			return nil
		}
		if err := r.create(about, c.O); err != nil {
			return err
		}
		r.add(about)
	case "drop":
		if !slices.Contains(r.found.names, about) || !r.takes.Takes(about) {
			return nil
		}
		r.forget(about)
		return classify("drop collection "+about, r.collection(about).Drop(r.ctx))
	case "renameCollection":
		return r.rename(renamedFrom(c, database), renamedTo(c, database))
	}
	return nil
}

func (r *replay) create(name string, definition bson.Raw) error {
	var command bson.D
	if err := bson.Unmarshal(definition, &command); err != nil {
		r.fail(name, err)
		return nil
	}
	command[0].Value = r.s.prefix + name
	command = slices.DeleteFunc(command, func(e bson.E) bool { return e.Key == "idIndex" || e.Key == "temp" || e.Key == "autoIndexId" })
	return classify("make collection "+name, r.s.client.Database(r.s.names.database).RunCommand(r.ctx, command).Err())
}

func (r *replay) rename(from, to string) error {
	switch {
	case from == "" || to == "" || !r.takes.Takes(to):
		return nil
	case !r.takes.Takes(from) || !slices.Contains(r.found.names, from):
		r.fail(to, fmt.Errorf("it was replaced by %s, which is not restored", from))
		return nil
	}
	staged := &mongo.CollectionSpecification{Name: r.s.prefix + from}
	if err := r.s.client.rename(r.ctx, r.s.names, staged, r.s.prefix+to, true); err != nil {
		return err
	}
	indexes := r.found.indexes[from]
	r.forget(to)
	r.forget(from)
	r.add(to)
	if len(indexes) > 0 {
		r.found.indexes[to] = indexes
	}
	return nil
}

// forget takes a collection out of what has to be there.
func (r *replay) forget(name string) {
	if at := slices.Index(r.found.names, name); at >= 0 {
		r.found.names = slices.Delete(r.found.names, at, at+1)
		r.found.collections--
	}
	delete(r.found.indexes, name)
}
