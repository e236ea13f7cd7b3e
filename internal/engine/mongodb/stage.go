package mongodb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mongodb/mongo-tools/mongorestore/ns"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// cleanupTimeout bounds what is done after the context has ended.
const cleanupTimeout = time.Minute

// Stage loads the archive with mongorestore, which stops at the first error. Its collections get names
// inside the target database that begin with the restore's token and the attempt's own number: a lost
// attempt that wakes up writes into collections that nobody takes. Verification loads into a database of
// its own.
func (e *Engine) Stage(ctx context.Context, target engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	names, err := namesOf(req)
	if err != nil {
		return engine.StageReport{}, err
	}
	stream, err := mainStream(req.Streams)
	if err != nil {
		return engine.StageReport{}, err
	}
	client, err := connect(ctx, target)
	if err != nil {
		return engine.StageReport{}, err
	}
	defer disconnect(client)
	if err := client.discard(ctx, names, req); err != nil {
		return engine.StageReport{}, err
	}
	s := &staging{engine: e, client: client, target: target, req: req, names: names, stream: stream}
	if !req.Scratch {
		s.prefix = names.own + attemptNumber() + "_"
	}
	if err := s.load(ctx, open); err != nil {
		return engine.StageReport{}, errors.Join(err, s.remove(ctx))
	}
	return engine.StageReport{Staging: names.database, Tables: s.tables, Warnings: s.warnings}, nil
}

func attemptNumber() string {
	var number [4]byte
	_, _ = rand.Read(number[:]) // never fails
	return hex.EncodeToString(number[:])
}

// staging is one run of Stage.
type staging struct {
	engine *Engine
	client *session
	target engine.Source
	req    engine.StageRequest
	names  restoreNames
	stream engine.Stream
	prefix string // of this attempt's collections
	tables int

	warnings []string
}

func (s *staging) load(ctx context.Context, open engine.Opener) error {
	found, err := s.restore(ctx, open)
	if err != nil {
		return err
	}
	if err := s.replay(ctx, open, &found); err != nil {
		return err
	}
	if err := s.makeIndexes(ctx, found); err != nil {
		return err
	}
	return s.finish(ctx, found)
}

// makeIndexes makes all indexes of a collection with one command: the server reads it once.
func (s *staging) makeIndexes(ctx context.Context, found contents) error {
	loaded, err := s.client.loaded(ctx, s.names.database, s.prefix)
	if err != nil {
		return err
	}
	for _, spec := range loaded {
		name := strings.TrimPrefix(spec.Name, s.prefix)
		indexes := found.indexes[name]
		if len(indexes) == 0 {
			continue
		}
		command := bson.D{{Key: "createIndexes", Value: spec.Name}, {Key: "indexes", Value: indexes}}
		if err := s.client.Database(s.names.database).RunCommand(ctx, command).Err(); err != nil {
			return classify("make the indexes of collection "+name, err)
		}
	}
	return nil
}

func (s *staging) restore(ctx context.Context, open engine.Opener) (contents, error) {
	archive, err := open(ctx, s.stream.Name, 0)
	if err != nil {
		return contents{}, failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
	}
	defer archive.Close()
	source := s.stream.Properties[propDatabase]
	config := mongotool.Config{Database: source, Target: s.names.database + "." + s.prefix + "*", Jobs: s.req.Jobs}
	if len(s.req.IncludeTables) == 0 {
		config.Include = []string{ns.Escape(source) + ".*"} // whatever else an archive names would keep its name
	}
	for _, name := range s.req.IncludeTables {
		config.Include = append(config.Include, source+"."+name)
	}
	tool, err := s.engine.command(ctx, s.target, mongotool.Restore, config)
	if err != nil {
		return contents{}, err
	}
	defer tool.close()
	checked := newChecked(archive)
	defer checked.stop()
	_, err = process.Push(ctx, tool.Command, io.MultiReader(bytes.NewReader(tool.config), checked))
	if err != nil {
		return contents{}, classifyTool("load into database "+s.names.database, err)
	}
	if found := checked.found.database; found != "" && found != source {
		return contents{}, failure.New(failure.Corrupt, "read the archive", "it is of database "+found+", not of "+source, "Restore another backup.")
	}
	return checked.found, nil
}

// finish compares what is there with what the archive holds, and sets the mark, which is last: Promote
// takes only what has one.
func (s *staging) finish(ctx context.Context, found contents) error {
	loaded, err := s.client.loaded(ctx, s.names.database, s.prefix)
	if err != nil {
		return err
	}
	mark := mark{Token: s.req.Token, State: stateLoaded, Prefix: s.prefix}
	for _, spec := range loaded {
		name := strings.TrimPrefix(spec.Name, s.prefix)
		if isServers(name) {
			continue
		}
		mark.Collections = append(mark.Collections, name)
		if spec.Type != typeView {
			s.tables++
		}
	}
	choice := engine.NewChoice(s.req.IncludeTables)
	for _, name := range found.names {
		_ = choice.Takes(name)
	}
	if err := choice.Missing(); err != nil {
		return err
	}
	switch {
	case len(s.req.IncludeTables) == 0 && s.tables != found.collections:
		return failure.New(failure.Unknown, "load into database "+s.names.database,
			fmt.Sprintf("the backup has %d collections, but %d were made", found.collections, s.tables), "")
	}
	if s.req.Scratch {
		return nil
	}
	if err := s.tryRename(ctx, loaded); err != nil {
		return err
	}
	return s.client.setMark(ctx, s.names, mark)
}

// tryRename renames one collection and back, so that a missing right is found before the target is touched.
// FerretDB 1 renames none with a dot in its name, so it is one of those if there are any.
func (s *staging) tryRename(ctx context.Context, loaded []*mongo.CollectionSpecification) error {
	var chosen *mongo.CollectionSpecification
	for _, spec := range loaded {
		if spec.Type == "collection" && (chosen == nil || strings.Contains(spec.Name, ".")) {
			chosen = spec
		}
	}
	if chosen == nil {
		return nil
	}
	moved := &mongo.CollectionSpecification{Name: s.prefix}
	if err := s.client.rename(ctx, s.names, chosen, moved.Name, false); err != nil {
		return failure.Wrap(failure.ClassOf(err), "try to rename a collection", err, "")
	}
	return s.client.rename(ctx, s.names, moved, chosen.Name, false)
}

// remove takes back what this attempt made, also when ctx has ended.
func (s *staging) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := s.client.dropLoaded(ctx, s.names, s.prefix)
	return failure.Wrap(failure.ClassOf(err), "remove what was loaded", err, "")
}

// Discard removes what was loaded and not promoted. It never touches another collection of the target. A
// promotion that has begun is finished instead: the target's old collections are gone in part, and what was
// loaded is all there is of them.
func (e *Engine) Discard(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	client, err := connect(ctx, target)
	if err != nil {
		return err
	}
	defer disconnect(client)
	if !req.Scratch {
		mark, err := client.mark(ctx, names, req)
		if err != nil {
			return err
		}
		if mark.State == statePromoting {
			return client.finishPromotion(ctx, names, req, mark)
		}
	}
	return client.forget(ctx, names, req)
}

// finishPromotion goes on to the end, and says so.
func (c *session) finishPromotion(ctx context.Context, names restoreNames, req engine.StageRequest, m mark) error {
	warnings, err := c.promote(ctx, names, req, m)
	if err != nil {
		return err
	}
	req.Say("the restore had begun to replace database %s when it stopped; the clean-up has finished it: the database holds the restored data", names.database)
	for _, warning := range warnings {
		req.Say("%s", warning)
	}
	return nil
}

// discard removes what an earlier attempt of the restore loaded; one that has begun to replace the database is refused.
func (c *session) discard(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	if !req.Scratch {
		mark, err := c.mark(ctx, names, req)
		if err != nil {
			return err
		}
		if mark.State == statePromoting {
			return failure.New(failure.ConfigInvalid, "restore into database "+names.database, "this restore has begun to replace it already",
				"Start another restore when this one has ended.")
		}
	}
	return c.forget(ctx, names, req)
}

// forget removes the mark of a restore that has replaced nothing, and what it loaded.
func (c *session) forget(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	if !req.Scratch {
		if err := c.removeMark(ctx, names, req); err != nil {
			return err
		}
	}
	return c.dropLoaded(ctx, names, names.own)
}

// dropLoaded drops the scratch database, or the collections of the target that begin with prefix, and the
// target itself if a restore alone has made it: MongoDB has no empty databases, but others do.
func (c *session) dropLoaded(ctx context.Context, names restoreNames, prefix string) error {
	database := c.Database(names.database)
	if names.own == "" {
		return classify("drop database "+names.database, database.Drop(ctx))
	}
	loaded, err := c.loaded(ctx, names.database, prefix)
	if err != nil {
		return err
	}
	for _, spec := range loaded {
		if err := database.Collection(spec.Name).Drop(ctx); err != nil {
			return classify("drop collection "+spec.Name, err)
		}
	}
	left, err := c.specifications(ctx, names.database)
	if err != nil || len(left) > 0 || len(loaded) == 0 {
		return err
	}
	return classify("drop database "+names.database, database.Drop(ctx))
}
