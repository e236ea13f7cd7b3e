package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
)

// FerretDB says to be the only member of a replica set and keeps an oplog, so that driver and tools find it as the members of one.
func TestABackupOfAReplicaSetThatIsWrittenToIsOfTheMomentItEnded(t *testing.T) {
	t.Parallel()
	const pool = "replica-set"
	name, ctx := unique(t), t.Context()
	server, err := mongodbserver.Start(ctx, mongodbserver.Options{Dir: t.TempDir(), ReplicaSet: "rs0"})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	connection, err := mongo.Connect(ctx, options.Client().ApplyURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?replicaSet=rs0", server.Port)).
		SetAuth(options.Credential{Username: mongodbserver.Username, Password: mongodbserver.Password, PasswordSet: true, AuthSource: "admin"}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Disconnect(context.Background()) })
	require.NoError(t, connection.Database("local").CreateCollection(ctx, "oplog.rs", options.CreateCollection().SetCapped(true).SetSizeInBytes(64<<20)))
	s := &mongoSetup{setup: &setup{database: name, storagePath: filepath.Join(t.TempDir(), "backups")}, client: connection}
	s.fillMongo(t, 6000)

	s.datasource, err = shared.owner.Datasources.Create(ctx, client.DatasourceDocument{
		Name: name + " source", Type: domain.MongoDB, Pool: pool,
		ConnectionConfig: domain.ConnectionConfig{
			Host: "127.0.0.1", Port: server.Port, Database: s.database, ReplicaSet: "rs0", Username: mongodbserver.Username, Password: mongodbserver.Password,
		},
	})
	require.NoError(t, err)
	s.storage, err = shared.owner.StorageLocations.Create(ctx, client.StorageLocationDocument{
		Name: name + " disk", Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: s.storagePath},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(ctx, client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: name, DatasourceID: s.datasource.ID, StorageLocationID: s.storage.ID,
		BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	worker := shared.spawnWorker(t, pool) // a process of its own: what it starts is this test's

	for i, kind := range []domain.BackupType{domain.Full, domain.Incremental} {
		running := s.start(t)
		dump := freezeMongoDump(t, worker.cmd.Process.Pid)
		s.writeMeanwhile(t, i)
		want := s.content(t, s.database)
		require.NoError(t, syscall.Kill(dump, syscall.SIGCONT))
		backup := wait(t, running)
		require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
		require.Equal(t, kind, backup.BackupType, backup.Metadata.FullReason)
		require.Empty(t, backup.Metadata.Warnings)

		target := fmt.Sprintf("%s_%s", s.database, kind)
		restored := s.restoreInto(t, backup, func(r *client.RestoreRequest) { r.TargetDatabase = target })
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		require.Equal(t, want, s.content(t, target), kind)
	}
}

// writeMeanwhile changes documents at both ends of a collection, and makes a collection: mongodump has asked already which there are, so
// that it is in a backup by the oplog alone.
func (s *mongoSetup) writeMeanwhile(t *testing.T, round int) {
	t.Helper()
	ctx, database := t.Context(), s.client.Database(s.database)
	orders := database.Collection("orders")
	for _, id := range []int{round, 5990 + round} {
		changed, err := orders.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: "text", Value: fmt.Sprint("changed meanwhile ", id)}}}})
		require.NoError(t, err)
		require.Equal(t, int64(1), changed.ModifiedCount)
		deleted, err := orders.DeleteOne(ctx, bson.D{{Key: "_id", Value: id + 5}})
		require.NoError(t, err)
		require.Equal(t, int64(1), deleted.DeletedCount)
	}
	_, err := orders.InsertOne(ctx, bson.D{{Key: "_id", Value: -1 - round}, {Key: "text", Value: fmt.Sprint("new ", round)}})
	require.NoError(t, err)
	_, err = database.Collection(fmt.Sprint("made_meanwhile_", round)).InsertOne(ctx, bson.D{{Key: "_id", Value: "ünï"}})
	require.NoError(t, err)
}

// freezeMongoDump stops the mongodump that a worker runs, once it has written so much that it knows what it is to dump. It is another process,
// so there is no event to wait for; it goes on a moment at a time, or on a busy machine it would have ended before somebody looks.
func freezeMongoDump(t *testing.T, worker int) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool { pid = findMongoDump(worker); return pid != 0 }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		if syscall.Kill(pid, syscall.SIGSTOP) == nil && written(pid) > 1<<20 {
			return true
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
		return false
	}, time.Minute, time.Millisecond)
	require.Equal(t, pid, findMongoDump(worker), "it has come to its end already")
	t.Cleanup(func() {
		if findMongoDump(worker) == pid {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return pid
}

// findMongoDump is the process id of the mongodump whose parent is a worker, 0 when there is none.
func findMongoDump(worker int) int {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err != nil || !strings.HasSuffix(string(line), "\x00"+mongotool.Name+"\x00"+mongotool.Dump+"\x00") {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(entry), "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(worker) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
			return pid
		}
	}
	return 0
}
