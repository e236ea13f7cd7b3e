package mongodb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// mark is a document of the target's collection marksName: how far a restore is. It is what makes a
// repeated Promote know where an earlier one got to, and one without a staging not claim success.
type mark struct {
	Token       string   `bson:"_id"`
	State       string   `bson:"state"`
	Prefix      string   `bson:"prefix"`      // of the collections of the attempt that was loaded
	Collections []string `bson:"collections"` // all that it has, by their own names
}

const (
	stateLoaded    = "loaded"
	statePromoting = "promoting" // some collections may have been renamed
	statePromoted  = "promoted"
)

func (c *session) marks(names restoreNames) *mongo.Collection {
	return c.Database(names.database).Collection(marksName)
}

// mark is empty where there is none.
func (c *session) mark(ctx context.Context, names restoreNames, req engine.StageRequest) (mark, error) {
	var found mark
	err := c.marks(names).FindOne(ctx, bson.D{{Key: "_id", Value: req.Token}}).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return mark{}, nil
	}
	return found, classify("look for the mark of the restore", err)
}

func (c *session) setMark(ctx context.Context, names restoreNames, m mark) error {
	_, err := c.marks(names).ReplaceOne(ctx, bson.D{{Key: "_id", Value: m.Token}}, m, options.Replace().SetUpsert(true))
	return classify("mark the restore as "+m.State, err)
}

// removeMark removes the mark of a restore that was not promoted.
func (c *session) removeMark(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	_, err := c.marks(names).DeleteOne(ctx, bson.D{{Key: "_id", Value: req.Token}, {Key: "state", Value: bson.D{{Key: "$ne", Value: statePromoted}}}})
	if err != nil {
		return classify("remove the mark of the restore", err)
	}
	found, err := c.loaded(ctx, names.database, marksName)
	if err != nil || len(found) == 0 {
		return err
	}
	left, err := c.marks(names).CountDocuments(ctx, bson.D{})
	if err != nil || left > 0 {
		return classify("look for other restores", err)
	}
	return classify("remove the mark of the restore", c.marks(names).Drop(ctx))
}
