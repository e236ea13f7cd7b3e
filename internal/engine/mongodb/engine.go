// Package mongodb backs MongoDB databases up as mongodump archives and restores them with mongorestore, both
// as libraries in a child process (see mongotool).
//
// A dump is one uncompressed archive of one database, collection after collection, so that equal data
// gives equal chunks. A restore loads under names of its own inside the target database and then renames
// collection by collection, which is what MongoDB does atomically.
package mongodb

import (
	"context"
	"os"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/readpref"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StreamName is the name of the stream of the collections; the database's own name is property "database".
const StreamName = "database"

// Format names what reads the stream: mongorestore --archive.
const Format = "mongodump-archive"

const (
	propDatabase      = "database"
	propServerVersion = "server_version"
	propToolVersion   = "tool_version"
	propTimeSeries    = "time_series" // names, for people
)

var (
	_ engine.Engine         = (*Engine)(nil)
	_ engine.Stager         = (*Engine)(nil)
	_ engine.StreamChecker  = (*Engine)(nil)
	_ engine.Describer      = (*Engine)(nil)
	_ engine.DatabaseLister = (*Engine)(nil)
)

// Options configures the engine.
type Options struct {
	// Program is run as the child, with the arguments mongotool.Name and what to do. Empty is this program
	// itself, whose main function has to answer to mongotool.Name.
	Program string
}

// Engine serves MongoDB. It holds no connection and is safe for concurrent use.
type Engine struct{ program string }

// New returns the engine.
func New(opts Options) *Engine { return &Engine{program: opts.Program} }

// Type is domain.MongoDB.
func (e *Engine) Type() domain.DatasourceType { return domain.MongoDB }

// Probe connects, authenticates, looks for the database, and measures one round trip.
func (e *Engine) Probe(ctx context.Context, src engine.Source) (engine.Info, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return engine.Info{}, err
	}
	defer disconnect(client)
	if src.Config.Database != "" { // a server of which every database is backed up names none
		if _, err := client.collections(ctx, src.Config.Database); err != nil {
			return engine.Info{}, err
		}
	}
	start := time.Now()
	if err := client.Ping(ctx, readpref.PrimaryPreferred()); err != nil {
		return engine.Info{}, classify("ping", err)
	}
	latency := time.Since(start)
	version, err := client.version(ctx)
	return engine.Info{Version: version, Latency: latency}, err
}

// Estimate is the size of the database's documents before the server compresses them.
func (e *Engine) Estimate(ctx context.Context, src engine.Source) (engine.Estimate, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return engine.Estimate{}, err
	}
	defer disconnect(client)
	if src.Config.Database == "" {
		all, err := client.ListDatabases(ctx, bson.D{})
		return engine.Estimate{Bytes: all.TotalSize}, classify("ask for the size of the databases", err)
	}
	var stats bson.M
	err = client.Database(src.Config.Database).RunCommand(ctx, bson.D{{Key: "dbStats", Value: 1}}).Decode(&stats)
	if err != nil {
		return engine.Estimate{}, classify("ask for the size of the database", err)
	}
	return engine.Estimate{Bytes: number(stats["dataSize"])}, nil
}

// systemJS holds functions.
const systemJS = "system.js"

// serverDatabases are the server's own.
var serverDatabases = []string{"admin", "config", "local"}

// Databases lists the databases that the user may see, without the server's own.
func (e *Engine) Databases(ctx context.Context, src engine.Source) ([]string, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return nil, err
	}
	defer disconnect(client)
	return client.databases(ctx)
}

func (c *session) databases(ctx context.Context) ([]string, error) {
	names, err := c.ListDatabaseNames(ctx, bson.D{})
	if err != nil {
		return nil, classify("list the databases", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(serverDatabases, name) })
	slices.Sort(names)
	return names, nil
}

func (c *session) version(ctx context.Context) (string, error) {
	var info struct{ Version string }
	err := c.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
	return info.Version, classify("ask for the server's version", err)
}

// collections lists a database's collections and views, without the server's own. A database that is not
// there is failure.NotFound.
func (c *session) collections(ctx context.Context, database string) ([]*mongo.CollectionSpecification, error) {
	found, err := c.Database(database).ListCollectionSpecifications(ctx, bson.D{})
	if err != nil {
		return nil, classify("list the collections of "+database, err)
	}
	if len(found) == 0 {
		// MongoDB has no empty database, but a user may not be allowed to list the databases.
		if names, err := c.ListDatabaseNames(ctx, bson.D{{Key: "name", Value: database}}); err == nil && !slices.Contains(names, database) {
			return nil, failure.New(failure.NotFound, "look for database "+database, "the server has none of this name",
				"Check the database name of the datasource; MongoDB makes a database when it gets its first collection.")
		}
	}
	found = slices.DeleteFunc(found, func(s *mongo.CollectionSpecification) bool { return isServers(s.Name) })
	slices.SortFunc(found, func(a, b *mongo.CollectionSpecification) int { return compare(a.Name, b.Name) })
	return found, nil
}

// CheckStreams wants the one stream of collections.
func (e *Engine) CheckStreams(streams []engine.Stream) error {
	_, err := mainStream(streams)
	return err
}

func mainStream(streams []engine.Stream) (engine.Stream, error) {
	if _, has := changesStream(streams); has {
		streams = slices.DeleteFunc(slices.Clone(streams), func(s engine.Stream) bool { return s.Format == ChangesFormat })
	}
	if len(streams) != 1 || streams[0].Format != Format || streams[0].Properties[propDatabase] == "" {
		return engine.Stream{}, failure.New(failure.Unsupported, "read the backup", "it is not one "+Format+" stream of a database",
			"Restore it into a datasource of the type it was made from, with the version that made it.")
	}
	return streams[0], nil
}

// child is the program that answers to mongotool.Name.
func (e *Engine) child() (string, error) {
	if e.program != "" {
		return e.program, nil
	}
	path, err := os.Executable()
	return path, failure.Wrap(failure.ToolMissing, "find this program", err, "")
}
