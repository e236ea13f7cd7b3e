package activities

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The names of the old target reach the old target: nothing in the new one would be masked.
func TestMaskingThatNamesTheTargetIsRefusedOnMariaDB(t *testing.T) {
	dir, err := os.MkdirTemp("", "dataguardian-mariadb-") // one that the server's user can enter
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := mariadbserver.Start(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop() })
	conn, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/?multiStatements=true", mariadbserver.User, server.Password, server.Port))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	const staging = "shop_dg_eeee0001"
	for _, name := range []string{"shop", staging} {
		_, err := conn.ExecContext(t.Context(), fmt.Sprintf("CREATE DATABASE %[1]s; CREATE TABLE %[1]s.customers (name text); INSERT INTO %[1]s.customers VALUES ('Ann')", name))
		require.NoError(t, err)
	}
	named := func(database string) (name string) {
		require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT name FROM "+database+".customers").Scan(&name))
		return name
	}
	src := engine.Source{Config: domain.ConnectionConfig{
		Host: "127.0.0.1", Port: server.Port, Username: mariadbserver.User, Password: server.Password, Database: "shop",
	}}
	mask := func(statement string) error {
		a := &Activities{}
		return a.finishStaging(context.Background(), &restore{
			stager: mysql.New(domain.MariaDB, mysql.Options{}), target: db.Datasource{Type: domain.MariaDB},
			options: domain.RestoreOptions{TargetDatabase: "shop", PostRestoreSQL: []string{statement}},
		}, src, engine.StageReport{Staging: staging, Tables: 1})
	}
	for _, table := range []string{"shop.customers", "`shop`.`customers`"} {
		refused := mask("UPDATE " + table + " SET name = 'masked'")
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(refused))
		require.ErrorContains(t, refused, "post_restore_sql[0]")
		require.Equal(t, []string{"Ann", "Ann"}, []string{named("shop"), named(staging)})
	}
}
