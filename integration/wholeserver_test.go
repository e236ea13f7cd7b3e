package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// wholeServer backs every database of the server up whose name begins with a letter that is the test's own: those of other
// tests, which come and go meanwhile, do not.
func wholeServer(t *testing.T, letter string) (s *setup, names []string) {
	t.Helper()
	s = newSetup(t, withDatabases(&domain.DatabaseSelection{All: true, Exclude: []string{"[^" + letter + "]*"}}),
		withOptions(domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull}))
	names = []string{letter + "_" + s.database + "_a", letter + "_" + s.database + "_b"}
	for i, name := range names {
		s.createDatabase(t, name)
		s.exec(t, name, "create table t as select n, md5(n::text) as text from generate_series(1, 1000) n")
		if i == 1 {
			s.exec(t, name, "delete from t where n > 10")
		}
	}
	return s, names
}

func TestEveryDatabaseOfAServerIsBackedUpNewOnesIncluded(t *testing.T) {
	s, names := wholeServer(t, "z")
	first := s.backUp(t)
	require.Equal(t, domain.Completed, first.Status, first.ErrorMessage)
	require.Equal(t, names, first.Metadata.Databases)
	require.True(t, first.Metadata.Verification.OK)

	added := "z_" + s.database + "_new"
	s.createDatabase(t, added)
	s.exec(t, added, "create table t as select 7 as n")
	second := s.backUp(t)
	require.Equal(t, domain.Completed, second.Status, second.ErrorMessage)
	require.Equal(t, domain.Incremental, second.BackupType)
	require.Equal(t, append(names, added), second.Metadata.Databases)

	t.Run("all are restored under their own names", func(t *testing.T) {
		s.exec(t, names[0], "drop table t")
		s.exec(t, names[1], "delete from t")
		refused := s.restore(t, second)
		require.Equal(t, domain.Failed, refused.Status, "the last database is full, and nobody asked to replace it")
		require.Contains(t, refused.Metadata.Hint, "drop_existing")
		restored := s.restore(t, second, dropExisting())
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		require.Equal(t, "1000", s.scalar(t, names[0], "select count(*)::text from t"))
		require.Equal(t, "10", s.scalar(t, names[1], "select count(*)::text from t"))
		require.Equal(t, "7", s.scalar(t, added, "select n::text from t"))
		require.Equal(t, 3, restored.Metadata.RestoreReport.Tables)
	})
	t.Run("with the roles that are missing", func(t *testing.T) {
		role := "z_role_" + s.database
		s.exec(t, names[0], "create role "+role+"; alter table t owner to "+role)
		withRole := s.backUp(t)
		require.Equal(t, domain.Completed, withRole.Status, withRole.ErrorMessage)
		s.exec(t, names[0], "drop table t; drop role "+role)
		restored := s.restore(t, withRole, restoreTo(s.database+"_roles"), only(names[0]), func(r *client.RestoreRequest) { r.RestoreGlobals = true })
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		require.Equal(t, role, s.scalar(t, s.database+"_roles", "select tableowner::text from pg_tables where tablename = 't'"))
		s.exec(t, s.database+"_roles", "drop owned by "+role+"; drop role "+role)
	})
	t.Run("one is restored under another name", func(t *testing.T) {
		restored := s.restore(t, second, restoreTo(s.database+"_one"), only(names[1]))
		require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
		s.requireSame(t, names[1], s.database+"_one")
	})
	t.Run("all are proven to restore", func(t *testing.T) {
		proven := s.restore(t, second, verification())
		require.Equal(t, domain.Completed, proven.Status, proven.ErrorMessage)
		require.Equal(t, 3, proven.Metadata.RestoreReport.Tables)
	})
	for name, request := range map[string]client.RestoreRequest{
		"target_database": {TargetDatabase: "one"},
		"databases":       {Databases: []string{"not_there"}},
	} {
		t.Run("a request that can not be is refused: "+name, func(t *testing.T) {
			request.TargetDatasourceID, request.ConfirmationPhrase = s.datasource.ID, client.ConfirmRestore(s.datasource.Name)
			_, err := shared.owner.Restore(t.Context(), second.ID, request)
			require.ErrorContains(t, err, name)
		})
	}
}

func only(databases ...string) func(*client.RestoreRequest) {
	return func(r *client.RestoreRequest) { r.Databases = databases }
}
