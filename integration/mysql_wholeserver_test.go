package integration

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
)

// Databases of other tests come and go meanwhile, so only those whose names begin with z are backed up.
func TestEveryDatabaseOfAMariaDBServerIsBackedUpNewOnesIncluded(t *testing.T) {
	t.Parallel()
	server, err := mariadb()
	require.NoError(t, err)
	s := &setup{database: unique(t), storagePath: filepath.Join(t.TempDir(), "backups")}
	s.storage = disk(s.storagePath).register(t, s.database+" disk", domain.DefaultPool)
	s.datasource, err = shared.owner.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: s.database + " server", Type: domain.MariaDB,
		ConnectionConfig: domain.ConnectionConfig{
			Host: "127.0.0.1", Port: server.Port, Username: mariadbserver.User, Password: server.Password,
			Databases: &domain.DatabaseSelection{All: true, Exclude: []string{"[^z]*", "z*_left_out"}},
		},
	})
	require.NoError(t, err)
	s.job, err = shared.owner.BackupJobs.Create(t.Context(), client.BackupJobDocument{
		RetentionPolicy: keepEverything, Name: s.database, DatasourceID: s.datasource.ID, StorageLocationID: s.storage.ID,
		BackupOptions: domain.BackupOptions{BackupType: domain.Incremental, Verify: domain.VerifyFull},
	})
	require.NoError(t, err)
	fill := func(suffix, charset string, rows int) string {
		name := "z" + s.database + suffix
		mysqlExec(t, server, "", "CREATE DATABASE "+name+" CHARACTER SET "+charset)
		mysqlExec(t, server, name, "CREATE TABLE t (n int PRIMARY KEY, v varchar(40))", fmt.Sprintf("INSERT INTO t SELECT seq, md5(seq) FROM seq_1_to_%d", rows),
			"CREATE VIEW v AS SELECT count(*) AS n FROM t")
		return name
	}
	a, b := fill("_a", "utf8mb4", 1000), fill("_b", "latin1", 10)
	fill("_left_out", "utf8mb4", 1)
	content := func(name string) []string {
		return slices.Concat(mysqlQuery(t, server, name, "SELECT * FROM t ORDER BY n"), mysqlQuery(t, server, name, "SELECT n FROM v"),
			mysqlQuery(t, server, name, "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = database()"))
	}

	first := s.backUp(t)
	requireCompleted(t, first)
	require.Equal(t, []string{a, b}, first.Metadata.Databases)
	role, user := "z_role_"+s.database, "z_user_"+s.database
	mysqlExec(t, server, "", "CREATE ROLE "+role, "GRANT SELECT ON "+a+".* TO "+role, "CREATE USER "+user+"@'127.0.0.1' IDENTIFIED BY 'of the account' WITH MAX_USER_CONNECTIONS 7",
		"GRANT "+role+" TO "+user+"@'127.0.0.1'", "SET DEFAULT ROLE "+role+" FOR "+user+"@'127.0.0.1'", "GRANT INSERT ON "+b+".* TO "+user+"@'127.0.0.1'")
	accounts := func() []string {
		return slices.Concat(mysqlQuery(t, server, "", "SHOW CREATE USER "+user+"@'127.0.0.1'"), mysqlQuery(t, server, "", "SHOW GRANTS FOR "+user+"@'127.0.0.1'"),
			mysqlQuery(t, server, "", "SHOW GRANTS FOR "+role))
	}
	added := fill("_new", "utf8mb4", 7)
	second := s.backUp(t)
	requireCompleted(t, second)
	require.Equal(t, domain.Incremental, second.BackupType)
	require.Equal(t, []string{a, b, added}, second.Metadata.Databases)
	require.True(t, second.Metadata.Verification.OK)
	before := map[string][]string{a: content(a), b: content(b), added: content(added)}
	granted := accounts()

	// One of them under another name, then all under their own, with the accounts that are missing.
	one := s.restore(t, second, restoreTo(s.database+"_one"), only(added))
	require.Equal(t, domain.Completed, one.Status, one.ErrorMessage)
	require.Equal(t, []string{"7"}, mysqlQuery(t, server, s.database+"_one", "SELECT n FROM v"))
	mysqlExec(t, server, "", "DROP DATABASE "+a, "DELETE FROM "+b+".t WHERE n > 3", "DROP USER "+user+"@'127.0.0.1'", "DROP ROLE "+role)
	refused := s.restore(t, second)
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.Metadata.Hint, "drop_existing")
	require.Equal(t, []string{"3"}, mysqlQuery(t, server, b, "SELECT n FROM v"), "nothing was touched")
	all := s.restore(t, second, dropExisting(), func(r *client.RestoreRequest) { r.RestoreGlobals = true })
	require.Equal(t, domain.Completed, all.Status, all.ErrorMessage)
	require.Equal(t, 3, all.Metadata.RestoreReport.Tables)
	for name, want := range before {
		require.Equal(t, want, content(name), name)
	}
	require.Equal(t, granted, accounts())
	own, err := sql.Open("mysql", fmt.Sprintf("%s:of the account@tcp(127.0.0.1:%d)/%s", user, server.Port, a))
	require.NoError(t, err)
	defer own.Close()
	var rows int
	require.NoError(t, own.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&rows))
	require.Equal(t, 1000, rows)

	proven := s.restore(t, second, verification())
	require.Equal(t, domain.Completed, proven.Status, proven.ErrorMessage)
	require.Equal(t, 3, proven.Metadata.RestoreReport.Tables)
	require.Empty(t, mysqlQuery(t, server, "", "select schema_name from information_schema.schemata where schema_name like '%"+s.database+"%\\_dg\\_%' or schema_name like 'dataguardian\\_verify\\_%"+domain.ID8(proven.ID)+"%'"))
	s.requireNowhere(t, second, server.Password)
}
