package mongodb_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// interrupted is a restore of collections a and b into a database whose promotion stopped after a.
type interrupted struct {
	src     engine.Source
	req     engine.StageRequest
	archive *enginetest.Archive
	before  any    // content of the backup
	prefix  string // of what is staged
}

// interrupt stages over a target that holds collections of the names given, and does what a Promote has done
// when its worker dies: the mark is set, and a is renamed.
func interrupt(t *testing.T, token string, drop bool, there ...string) interrupted {
	t.Helper()
	name := "from" + token
	backup := small(t, name, "a", "b")
	archive, _ := enginetest.Dump(t, newEngine(), backup, engine.DumpOptions{})
	target := fresh(t)
	i := interrupted{src: in(backup, target), archive: &archive, before: content(t, backup)}
	for _, collection := range there {
		insert(t, open(t).Database(target), collection, bson.D{{Key: "_id", Value: "of the target"}})
	}
	i.req = archive.Request(token, target)
	i.req.DropExisting = drop
	ctx, database := enginetest.Context(t), open(t).Database(target)
	_, err := newEngine().Stage(ctx, i.src, i.req, archive.Opener())
	require.NoError(t, err)
	var mark bson.M
	require.NoError(t, database.Collection("dataguardian_restore").FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: token}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "state", Value: "promoting"}}}}).Decode(&mark))
	i.prefix = mark["prefix"].(string)
	require.NoError(t, database.Collection("a").Drop(ctx))
	require.NoError(t, open(t).Database("admin").RunCommand(ctx, bson.D{
		{Key: "renameCollection", Value: target + "." + i.prefix + "a"}, {Key: "to", Value: target + ".a"},
	}).Err())
	return i
}

func TestAPromoteThatWasInterruptedIsFinishedByTheNext(t *testing.T) {
	for name, drop := range map[string]bool{"cccc0005": true, "cccc0105": false} {
		there := []string{"b", "since"}
		if !drop {
			there = nil
		}
		i := interrupt(t, name, drop, there...)
		require.NoError(t, newEngine().CheckTarget(enginetest.Context(t), i.src, i.req))
		warnings, err := newEngine().Promote(enginetest.Context(t), i.src, i.req)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Equal(t, i.before, content(t, i.src))
	}
}

// What is staged is all there is of the collections that are gone already.
func TestADiscardFinishesAPromotionThatHasBegun(t *testing.T) {
	i := interrupt(t, "cccc0205", true, "b", "since")
	ctx := enginetest.Context(t)
	_, err := newEngine().Stage(ctx, i.src, i.req, i.archive.Opener())
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	var told []string
	i.req.Explain = func(message string) { told = append(told, message) }
	for range 2 {
		require.NoError(t, newEngine().Discard(ctx, i.src, i.req))
		require.Equal(t, i.before, content(t, i.src))
	}
	require.Len(t, told, 1)
	require.Contains(t, told[0], "the clean-up has finished it")
	require.Equal(t, []string{"a", "b"}, withoutMarks(t, i.src))
}

func TestARetriedPromoteReplacesNothingThatWasMadeMeanwhile(t *testing.T) {
	i := interrupt(t, "cccc0305", false)
	ctx, database := enginetest.Context(t), open(t).Database(i.src.Config.Database)
	insert(t, database, "b", bson.D{{Key: "_id", Value: "since"}})
	for range 2 {
		_, err := newEngine().Promote(ctx, i.src, i.req)
		enginetest.RequireClass(t, failure.ConfigInvalid, err)
		require.Contains(t, failure.HintOf(err), i.prefix+"b")
		enginetest.RequireClass(t, failure.ConfigInvalid, newEngine().Discard(ctx, i.src, i.req))
	}
	require.Equal(t, []string{"a", "b", i.prefix + "b"}, withoutMarks(t, i.src))
	require.NoError(t, database.Collection("b").FindOne(ctx, bson.D{{Key: "_id", Value: "since"}}).Err())
}

func TestARetriedPromoteDropsNothingThatWasMadeMeanwhile(t *testing.T) {
	i := interrupt(t, "cccc0405", false)
	insert(t, open(t).Database(i.src.Config.Database), "mine", bson.D{{Key: "_id", Value: 1}})
	warnings, err := newEngine().Promote(enginetest.Context(t), i.src, i.req)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "mine")
	require.Equal(t, []string{"a", "b", "mine"}, withoutMarks(t, i.src))
}

// withoutMarks are the collections of a database, also those that are only staged.
func withoutMarks(t *testing.T, src engine.Source) (names []string) {
	t.Helper()
	all, err := open(t).Database(src.Config.Database).ListCollectionNames(context.Background(), bson.D{{Key: "name", Value: bson.D{{Key: "$ne", Value: "dataguardian_restore"}}}})
	require.NoError(t, err)
	slices.Sort(all)
	return all
}

// The clean-up of a lost restore may come days later, when another restore has replaced what it left.
func TestALateDiscardTouchesNothingOfARestoreAfterIt(t *testing.T) {
	lost := interrupt(t, "cccc0505", true, "b", "since")
	ctx := enginetest.Context(t)
	next := lost.req
	next.Token = "cccc0506"
	other := small(t, "fromcccc0506", "b", "c")
	archive, _ := enginetest.Dump(t, newEngine(), other, engine.DumpOptions{})
	next.Streams = archive.Request(next.Token, next.Target).Streams
	_, err := newEngine().Stage(ctx, lost.src, next, archive.Opener())
	require.NoError(t, err)
	_, err = newEngine().Promote(ctx, lost.src, next)
	require.NoError(t, err)
	after := content(t, lost.src)
	require.NoError(t, newEngine().Discard(ctx, lost.src, lost.req))
	require.Equal(t, after, content(t, lost.src))
	require.Equal(t, []string{"b", "c"}, withoutMarks(t, lost.src))
}
