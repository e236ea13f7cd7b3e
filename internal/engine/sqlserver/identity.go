package sqlserver

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/engine"
)

var _ engine.Identifier = (*Engine)(nil)

// Identity is the server's name with the moment at which it started (machines that were copied have one name), and the
// database's number there.
func (e *Engine) Identity(ctx context.Context, src engine.Source) (string, error) {
	conn, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return "", err
	}
	defer conn.close()
	var identity string
	err = conn.QueryRowContext(ctx, `SELECT CONCAT(CONVERT(nvarchar(256), SERVERPROPERTY('ServerName')), '/',
		CONVERT(nvarchar(30), (SELECT create_date FROM sys.databases WHERE name = N'tempdb'), 126), '/', DB_ID())`).Scan(&identity)
	return identity, classify("ask for the server's identity", err)
}
