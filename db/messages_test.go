package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

func TestADraftOpensUnderItsIDAndForAWhile(t *testing.T) {
	d := dbtest.Open(t, dbtest.URL(t))
	draft := db.StorageDraft{Type: domain.StorageSSH, Config: domain.StorageConfig{Host: "nas.example.com", Password: "hunter2hunter2"}}
	sealed, err := d.SealStorageDraft(t.Context(), "one", draft)
	require.NoError(t, err)
	require.NotContains(t, sealed, "nas")
	opened, err := d.OpenStorageDraft("one", sealed)
	require.NoError(t, err)
	require.Equal(t, draft, opened)
	_, err = d.OpenStorageDraft("two", sealed)
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
	_, err = d.OpenStorageDraft("one", sealed[:len(sealed)-4]+"AAAA")
	require.Equal(t, failure.Corrupt, failure.ClassOf(err))
	defer db.SetDraftLife(-1)()
	old, err := d.SealStorageDraft(t.Context(), "one", draft)
	require.NoError(t, err)
	_, err = d.OpenStorageDraft("one", old)
	require.Equal(t, failure.Timeout, failure.ClassOf(err))
	_, err = dbtest.Open(t, dbtest.URL(t)).OpenStorageDraft("one", sealed)
	require.NoError(t, err, "every process of the installation has the key")
}
