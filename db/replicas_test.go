package db_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

func TestReplicasAreRecordedOnceAndForgotten(t *testing.T) {
	d := dbtest.New(t)
	e := newRunning(t, d, "nightly")
	other := newStorage(t, d, "offsite")
	replica := db.Replica{ExecutionID: e.ID, StorageLocationID: other.ID, ManifestPath: "a/backups/x/manifest.json"}
	require.NoError(t, d.PutReplica(t.Context(), replica))
	replica.ManifestPath = "a/backups/y/manifest.json"
	require.NoError(t, d.PutReplica(t.Context(), replica))

	found, err := d.ListReplicas(t.Context(), e.ID)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, replica.ManifestPath, found[0].ManifestPath)
	require.Equal(t, other.ID, found[0].StorageLocationID)
	require.Nil(t, found[0].VerifiedAt)

	replica.ExecutionID = uuid.NewString()
	require.ErrorIs(t, d.PutReplica(t.Context(), replica), db.ErrNotFound)
	for range 2 {
		require.NoError(t, d.DeleteReplica(t.Context(), e.ID, other.ID))
	}
	found, err = d.ListReplicas(t.Context(), e.ID)
	require.NoError(t, err)
	require.Empty(t, found)
}
