package mongodb_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestAReplacedDatabaseHasNothingButTheBackup(t *testing.T) {
	src := small(t, "replaced", "a", "b")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	before := content(t, src)
	insert(t, open(t).Database("replaced"), "since", bson.D{{Key: "_id", Value: 1}})
	insert(t, open(t).Database("replaced"), "a", bson.D{{Key: "_id", Value: 1}})
	req := archive.Request("cccc0001", "replaced")
	req.DropExisting = true
	enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.Equal(t, before, content(t, src))
}

func TestChosenCollectionsAreRestoredBesideTheOthers(t *testing.T) {
	src := small(t, "some", "a", "b", "c")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	insert(t, open(t).Database(target), "mine", bson.D{{Key: "_id", Value: 1}})
	req, ctx := archive.Request("cccc0002", target), enginetest.Context(t)
	req.IncludeTables = []string{"a", "b*"}
	enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.ElementsMatch(t, []string{"a", "b", "mine"}, collections(t, target))

	req.Token = "cccc0003"
	err := newEngine().CheckTarget(ctx, src, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.Contains(t, failure.HintOf(err), "drop_existing")

	req.Token, req.IncludeTables = "cccc0004", []string{"nothing of it"}
	_, err = newEngine().Stage(ctx, src, req, archive.Opener())
	enginetest.RequireClass(t, failure.NotFound, err)
	require.Contains(t, failure.Message(err), "include_tables")
}

func TestPromoteRefusesWhatWasNotLoadedToTheEnd(t *testing.T) {
	src := small(t, "intact", "a", "dg_cccc0006_00000000_a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req := archive.Request("cccc0006", "intact")
	req.DropExisting = true
	_, err := newEngine().Promote(enginetest.Context(t), src, req)
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.Equal(t, []string{"a"}, collections(t, "intact"))
	require.NoError(t, newEngine().Discard(enginetest.Context(t), src, req))
	names, err := open(t).Database("intact").ListCollectionNames(context.Background(), bson.D{})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
}

func TestATargetThatFilledUpSinceTheCheckIsNotReplaced(t *testing.T) {
	src := small(t, "filling", "a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target, ctx := fresh(t), enginetest.Context(t)
	req := archive.Request("cccc0007", target)
	_, err := newEngine().Stage(ctx, src, req, archive.Opener())
	require.NoError(t, err)
	insert(t, open(t).Database(target), "mine", bson.D{{Key: "_id", Value: 1}})
	_, err = newEngine().Promote(ctx, src, req)
	enginetest.RequireClass(t, failure.ConfigInvalid, err)
	require.NoError(t, newEngine().Discard(ctx, src, req))
	require.Equal(t, []string{"mine"}, collections(t, target))
}

func TestACancelledRestoreLeavesNothing(t *testing.T) {
	src := small(t, "cancelled", "a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	before := databases(t)
	ctx, cancel := context.WithTimeout(enginetest.Context(t), time.Second)
	defer cancel()
	_, err := newEngine().Stage(ctx, src, archive.Request("cccc0008", fresh(t)), archive.StuckAt(len(archive.Bytes)/2))
	enginetest.RequireClass(t, failure.Timeout, err)
	require.Equal(t, before, databases(t))
	require.Empty(t, enginetest.Children(t, self(t)))
}

func TestALostAttemptLeavesTheWorkOfItsSuccessorAlone(t *testing.T) {
	src := small(t, "superseded", "a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	target := fresh(t)
	req, ctx := archive.Request("cccc0009", target), enginetest.Context(t)
	lostCtx, cancelLost := context.WithCancel(ctx)
	defer cancelLost()
	lost, loading := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := newEngine().Stage(lostCtx, src, req, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
			close(loading)
			return archive.StuckAt(len(archive.Bytes)/2)(ctx, name, offset)
		})
		lost <- err
	}()
	<-loading
	_, err := newEngine().Stage(ctx, src, req, archive.Opener())
	require.NoError(t, err)
	cancelLost()
	require.Error(t, <-lost)
	_, err = newEngine().Promote(ctx, src, req)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, collections(t, target))
}

func TestCheckTargetRefuses(t *testing.T) {
	src := small(t, "checked", "a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	for name, target := range map[string]string{
		"the server's own database": "admin",
		"no name":                   "",
		"a name with a dot":         "a.b",
		"a name of 64 bytes":        strings.Repeat("x", 64),
	} {
		t.Run(name, func(t *testing.T) {
			req := archive.Request("cccc0010", target)
			req.DropExisting = true
			err := newEngine().CheckTarget(enginetest.Context(t), src, req)
			enginetest.RequireClass(t, failure.ConfigInvalid, err)
		})
	}
	t.Run("time series, which can not be renamed", func(t *testing.T) {
		req := archive.Request("cccc0011", fresh(t))
		req.Streams[0].Properties["time_series"] = "weather"
		err := newEngine().CheckTarget(enginetest.Context(t), src, req)
		enginetest.RequireClass(t, failure.Unsupported, err)
		require.Contains(t, failure.Message(err), "weather")
	})
}

func TestAFullDiskOfTheServerFailsARestoreAndLeavesNothing(t *testing.T) {
	src := newSample(t, "large")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	dir, ctx := t.TempDir(), enginetest.Context(t)
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", dir).CombinedOutput()
	require.NoError(t, err, "this test needs the right to mount: %s", out)
	defer func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) }()
	full, err := mongodbserver.Start(context.Background(), mongodbserver.Options{Dir: dir})
	require.NoError(t, err)
	defer full.Stop()
	target := src
	target.Config.Port = full.Port
	client := openAt(t, full.Port)
	insert(t, client.Database("keep"), "a", bson.D{{Key: "_id", Value: 42}})
	insert(t, client.Database("keep"), "orders", bson.D{{Key: "_id", Value: "kept"}})
	everything := func() (found []string) {
		names, err := client.ListDatabaseNames(ctx, bson.D{})
		require.NoError(t, err)
		for _, name := range names {
			collections, err := client.Database(name).ListCollectionNames(ctx, bson.D{})
			require.NoError(t, err)
			for _, collection := range collections {
				cursor, err := client.Database(name).Collection(collection).Find(ctx, bson.D{})
				require.NoError(t, err)
				var documents []bson.D
				require.NoError(t, cursor.All(ctx, &documents))
				found = append(found, fmt.Sprint(name, ".", collection, documents))
			}
		}
		slices.Sort(found)
		return found
	}
	before := everything()
	require.NotEmpty(t, before)
	ballast := filepath.Join(dir, "ballast") // room to be made: SQLite writes to drop a collection
	require.NoError(t, os.WriteFile(ballast, make([]byte, 200<<10), 0o600))

	req := archive.Request("cccc0012", "keep")
	req.DropExisting = true
	_, err = newEngine().Stage(ctx, target, req, archive.Opener())
	enginetest.RequireClass(t, failure.StorageFull, err)
	require.NotEmpty(t, failure.HintOf(err))
	require.Equal(t, before, slices.DeleteFunc(everything(), func(line string) bool { return strings.HasPrefix(line, "keep.dg_cccc0012_") }), "the target is whole")
	require.Empty(t, enginetest.Children(t, self(t)))
	require.NoError(t, os.Remove(ballast))
	require.NoError(t, newEngine().Discard(ctx, target, req))
	require.Equal(t, before, everything(), "and nothing is left")
}

func TestAnIndexThatCanNotBeMadeFailsTheRestore(t *testing.T) {
	src := small(t, "unique", "a")
	_, err := open(t).Database("unique").Collection("a").Indexes().CreateOne(context.Background(),
		mongo.IndexModel{Keys: bson.D{{Key: "v", Value: 1}}, Options: options.Index().SetUnique(true)})
	require.NoError(t, err)
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	spoiled := archive.With([]byte(strings.ReplaceAll(string(archive.Bytes), `"name":"v_1"`, `"nome":"v_1"`)))
	before := databases(t)
	_, err = newEngine().Stage(enginetest.Context(t), src, spoiled.Request("cccc0013", fresh(t)), spoiled.Opener())
	require.ErrorContains(t, err, "indexes of collection a")
	require.Equal(t, before, databases(t))
}

// The namespaces of an archive are what "../" is in one of files.
func TestAnArchiveWritesToNoOtherDatabase(t *testing.T) {
	src := small(t, "elsewhere", "a")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	require.NoError(t, open(t).Database("elsewhere").Drop(context.Background()))
	archive.Stream.Properties = map[string]string{"database": "shop"}
	before := databases(t)
	_, err := newEngine().Stage(enginetest.Context(t), src, archive.Request("cccc0014", fresh(t)), archive.Opener())
	enginetest.RequireClass(t, failure.Corrupt, err)
	require.ErrorContains(t, err, "elsewhere")
	require.Equal(t, before, databases(t))
}
