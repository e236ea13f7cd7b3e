package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongodbserver"
)

// Databases of other tests come and go meanwhile, so only those whose names begin with z are backed up.
func TestEveryDatabaseOfAMongoDBServerIsBackedUpNewOnesIncluded(t *testing.T) {
	s := newMongoSetup(t)
	ctx := t.Context()
	server, err := startMongoDB()
	require.NoError(t, err)
	s.datasource, err = shared.owner.Datasources.Create(ctx, client.DatasourceDocument{
		Name: s.database + " server", Type: domain.MongoDB,
		ConnectionConfig: domain.ConnectionConfig{
			Host: "127.0.0.1", Port: server.Port, Username: mongodbserver.Username, Password: mongodbserver.Password,
			Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"[^z]*", "z*_left_out"}},
		},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(ctx, client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: s.database + " server", DatasourceID: s.datasource.ID, StorageLocationID: s.storage.ID,
		BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	fill := func(name string, documents ...any) string {
		name = "z" + s.database + name
		_, err := s.client.Database(name).Collection("c").InsertMany(ctx, documents)
		require.NoError(t, err)
		return name
	}
	a, b := fill("_a", bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "_id", Value: 2}}), fill("_b", bson.D{{Key: "_id", Value: "b"}})
	fill("_left_out", bson.D{{Key: "_id", Value: 1}})

	first := s.backUp(t)
	require.Equal(t, domain.Completed, first.Status, first.ErrorMessage)
	require.Equal(t, []string{a, b}, first.Metadata.Databases)
	added := fill("_new", bson.D{{Key: "_id", Value: "made since"}})
	second := s.backUp(t)
	require.Equal(t, domain.Completed, second.Status, second.ErrorMessage)
	require.Equal(t, domain.Incremental, second.BackupType)
	require.Equal(t, []string{a, b, added}, second.Metadata.Databases)
	require.True(t, second.Metadata.Verification.OK)
	before := map[string]map[string][]string{a: s.content(t, a), b: s.content(t, b), added: s.content(t, added)}

	// One of them under another name, then all under their own.
	one := s.restoreInto(t, second, func(r *client.RestoreRequest) {
		r.Databases, r.TargetDatabase = []string{added}, s.database+"_one"
	})
	require.Equal(t, domain.Completed, one.Status, one.ErrorMessage)
	require.Equal(t, before[added], s.content(t, s.database+"_one"))
	require.NoError(t, s.client.Database(a).Drop(ctx))
	fill("_b", bson.D{{Key: "_id", Value: "since"}})
	refused := s.restoreInto(t, second, func(*client.RestoreRequest) {})
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.Metadata.Hint, "drop_existing")
	all := s.restoreInto(t, second, func(r *client.RestoreRequest) { r.DropExisting = true })
	require.Equal(t, domain.Completed, all.Status, all.ErrorMessage)
	for name, content := range before {
		require.Equal(t, content, s.content(t, name), name)
	}
	require.Equal(t, 3, all.Metadata.RestoreReport.Tables)
}
