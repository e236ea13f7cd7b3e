package mongodb

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Promote renames what was loaded, collection by collection. On MongoDB each takes the place of the old
// one atomically; on a server that can not do that the old one is dropped first. The database as a whole
// changes over some milliseconds: all data is on the server before it begins, so that a Promote that was
// interrupted is finished by the next, or by Discard. Then collections that the backup does not have are dropped, unless
// only some were chosen.
func (e *Engine) Promote(ctx context.Context, target engine.Source, req engine.StageRequest) (warnings []string, err error) {
	if req.Scratch {
		return nil, failure.New(failure.ConfigInvalid, "promote a restore", "it is a verification, which replaces nothing", "")
	}
	names, err := namesOf(req)
	if err != nil {
		return nil, err
	}
	client, err := connect(ctx, target)
	if err != nil {
		return nil, err
	}
	defer disconnect(client)
	mark, err := client.promotable(ctx, names, req)
	if err != nil || mark.State == statePromoted {
		return nil, err
	}
	return client.promote(ctx, names, req, mark)
}

// promote goes from a mark that is loaded or promoting to the end.
func (c *session) promote(ctx context.Context, names restoreNames, req engine.StageRequest, mark mark) (warnings []string, err error) {
	plan, err := c.planSwap(ctx, names, req, mark)
	if err != nil {
		return nil, err
	}
	mark.State = statePromoting
	if err := c.setMark(ctx, names, mark); err != nil {
		return nil, err
	}
	if err := c.forgetOthers(ctx, names, mark.Token); err != nil {
		return nil, err
	}
	if err := plan.run(ctx); err != nil {
		return nil, err
	}
	if len(req.IncludeTables) == 0 {
		if warnings, err = c.dropOthers(ctx, names, req, mark); err != nil {
			return nil, err
		}
	}
	return warnings, c.finish(ctx, names, mark)
}

// forgetOthers takes the marks of the restores away that replaced the database before this one, or had begun to:
// when the clean-up of one that was lost comes late, it must not finish its swap over this one.
func (c *session) forgetOthers(ctx context.Context, names restoreNames, token string) error {
	_, err := c.marks(names).DeleteMany(ctx, bson.D{
		{Key: "state", Value: bson.D{{Key: "$in", Value: bson.A{statePromoting, statePromoted}}}}, {Key: "_id", Value: bson.D{{Key: "$ne", Value: token}}},
	})
	return classify("forget earlier restores", err)
}

// promotable finds the mark of a restore that was loaded and may replace the target.
func (c *session) promotable(ctx context.Context, names restoreNames, req engine.StageRequest) (mark, error) {
	op := "promote the restore of database " + names.database
	found, err := c.mark(ctx, names, req)
	if err != nil {
		return found, err
	}
	switch found.State {
	case stateLoaded:
		// What is in the target may have changed since CheckTarget.
		return found, c.checkReplaceable(ctx, names, req)
	case statePromoting, statePromoted:
		return found, nil
	}
	loaded, err := c.loaded(ctx, names.database, names.own)
	if err != nil {
		return found, err
	}
	if len(loaded) > 0 {
		return found, failure.New(failure.Corrupt, op, "it was not loaded to the end", "Run the restore again.")
	}
	return found, failure.New(failure.NotFound, op, "nothing was loaded by it", "Run the restore again.")
}

// rename gives a collection its own name.
func (c *session) rename(ctx context.Context, names restoreNames, s *mongo.CollectionSpecification, name string, replace bool) error {
	op := fmt.Sprintf("give collection %s its restored content", name)
	command := bson.D{{Key: "renameCollection", Value: names.database + "." + s.Name}, {Key: "to", Value: names.database + "." + name}}
	run := func(command bson.D) error { return c.Database("admin").RunCommand(ctx, command).Err() }
	if !replace {
		return classify(op, run(command))
	}
	err := run(append(slices.Clone(command), bson.E{Key: "dropTarget", Value: true}))
	if !hasCode(err, codeNotImplemented) {
		return classify(op, err)
	}
	if err := c.drop(ctx, names, name); err != nil {
		return err
	}
	return classify(op, run(command))
}

// moveView makes the view again: views have no data, and can not be renamed.
func (c *session) moveView(ctx context.Context, names restoreNames, s *mongo.CollectionSpecification, name string) error {
	var definition bson.D
	if err := bson.Unmarshal(s.Options, &definition); err != nil {
		return failure.Wrap(failure.Unknown, "read view "+name, err, "")
	}
	create := append(bson.D{{Key: "create", Value: name}}, definition...)
	if err := c.Database(names.database).RunCommand(ctx, create).Err(); err != nil {
		return classify("make view "+name, err)
	}
	return c.drop(ctx, names, s.Name)
}

func (c *session) drop(ctx context.Context, names restoreNames, name string) error {
	return classify("drop collection "+name, c.Database(names.database).Collection(name).Drop(ctx))
}

// dropOthers drops what the backup does not have. Without drop_existing there was nothing when the restore was
// checked: what somebody made since is kept, and told.
func (c *session) dropOthers(ctx context.Context, names restoreNames, req engine.StageRequest, m mark) (kept []string, err error) {
	existing, err := c.existing(ctx, names.database)
	if err != nil {
		return nil, err
	}
	for _, s := range existing {
		switch {
		case slices.Contains(m.Collections, s.Name):
		case !req.DropExisting:
			kept = append(kept, fmt.Sprintf("collection %s of %s is not of the backup: it was made while the restore ran, and is kept", s.Name, names.database))
		default:
			if err := c.drop(ctx, names, s.Name); err != nil {
				return nil, err
			}
		}
	}
	return kept, nil
}

// finish says that the restore has succeeded, and forgets what its lost attempts left.
func (c *session) finish(ctx context.Context, names restoreNames, m mark) error {
	m.State = statePromoted
	if err := c.setMark(ctx, names, m); err != nil {
		return err
	}
	return c.dropLoaded(ctx, names, names.own)
}
