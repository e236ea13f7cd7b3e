package mongodb

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CheckTarget looks at names, streams, the server and what the target holds.
func (e *Engine) CheckTarget(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	stream, err := mainStream(req.Streams)
	if err != nil && !req.BeforeBackup {
		return err
	}
	client, err := connect(ctx, target)
	if err != nil {
		return err
	}
	defer disconnect(client)
	if req.Scratch {
		return nil
	}
	if series := stream.Properties[propTimeSeries]; series != "" && len(req.IncludeTables) == 0 {
		return failure.New(failure.Unsupported, "check the backup", "it holds time series collections, which MongoDB can not rename: "+series,
			"Restore the other collections with include_tables, or download the backup and use mongorestore --archive.")
	}
	mark, err := client.mark(ctx, names, req)
	if err != nil || mark.State == statePromoting || mark.State == statePromoted {
		return err // what is in the target is of this restore
	}
	return client.checkReplaceable(ctx, names, req)
}

// checkReplaceable refuses a target with collections that must not be replaced.
func (c *session) checkReplaceable(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	existing, err := c.existing(ctx, names.database)
	if err != nil || req.DropExisting {
		return err
	}
	for _, s := range existing {
		if len(req.IncludeTables) == 0 || matchesAny(req.IncludeTables, s.Name) {
			return failure.New(failure.ConfigInvalid, "check the target database "+names.database, fmt.Sprintf("it is not empty: it has collection %s", s.Name),
				"Set drop_existing to replace it, or give another target_database.")
		}
	}
	return nil
}

// existing are the collections of a database which may not be there, without the server's and our own.
func (c *session) existing(ctx context.Context, database string) ([]*mongo.CollectionSpecification, error) {
	all, err := c.specifications(ctx, database)
	var found []*mongo.CollectionSpecification
	for _, s := range all {
		if !isServers(s.Name) && !isOwn(s.Name) {
			found = append(found, s)
		}
	}
	return found, err
}

// loaded are the collections whose names begin so.
func (c *session) loaded(ctx context.Context, database, prefix string) ([]*mongo.CollectionSpecification, error) {
	all, err := c.specifications(ctx, database)
	var found []*mongo.CollectionSpecification
	for _, s := range all {
		if strings.HasPrefix(s.Name, prefix) {
			found = append(found, s)
		}
	}
	return found, err
}

func (c *session) specifications(ctx context.Context, database string) ([]*mongo.CollectionSpecification, error) {
	found, err := c.Database(database).ListCollectionSpecifications(ctx, bson.D{})
	return found, classify("list the collections of "+database, err)
}
