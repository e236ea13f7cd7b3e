package sqlserver

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// reader is the user of a database that statements of others run as where the datasource's login may write there.
const reader = "dataguardian_reader"

// mayWrite asks the server whether whom the statement would run as may write: anywhere in the database, to a table or
// view of it, or to the server. A database that is read-only (a secondary, a snapshot) nobody can write to. What the
// server does not say counts as yes.
const mayWrite = `SELECT CONVERT(int, CASE
	WHEN DATABASEPROPERTYEX(DB_NAME(), 'Updateability') = N'READ_ONLY' THEN 0
	WHEN ISNULL(HAS_PERMS_BY_NAME(NULL, NULL, 'ALTER ANY DATABASE'), 1) = 1 OR ISNULL(HAS_PERMS_BY_NAME(NULL, NULL, 'CREATE ANY DATABASE'), 1) = 1
		OR ISNULL(HAS_PERMS_BY_NAME(NULL, NULL, 'ALTER ANY LOGIN'), 1) = 1 THEN 1
	WHEN ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'INSERT'), 1) = 1 OR ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'UPDATE'), 1) = 1
		OR ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'DELETE'), 1) = 1 OR ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'ALTER'), 1) = 1
		OR ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'CREATE TABLE'), 1) = 1 THEN 1
	WHEN EXISTS (SELECT 1 FROM sys.objects AS o CROSS APPLY (SELECT QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name) AS name) AS q
		WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND (HAS_PERMS_BY_NAME(q.name, 'OBJECT', 'INSERT') = 1
			OR HAS_PERMS_BY_NAME(q.name, 'OBJECT', 'UPDATE') = 1 OR HAS_PERMS_BY_NAME(q.name, 'OBJECT', 'DELETE') = 1)) THEN 1
	ELSE 0 END)`

// guard makes sure that the server itself lets nothing be written in this session from here on: the login has no right
// to, or the session becomes, with no way back, the user of the database that is there for it. A copy that a
// verification restored, and drops, needs no guard.
func (s *session) guard(ctx context.Context, op string) error {
	if s.src.Disposable {
		return nil
	}
	may, err := s.mayWrite(ctx, op)
	if err != nil || !may {
		return err
	}
	_, err = s.ExecContext(ctx, "EXECUTE AS USER = N'"+reader+"' WITH NO REVERT")
	if numbered(classify(op, err), 15517, 15404, 15406) {
		return failure.New(failure.ConfigInvalid, op, "the datasource's login may write, and SQL Server has no transaction that only reads",
			"Give the datasource a login with db_datareader alone; or, once in the database: CREATE USER "+reader+" WITHOUT LOGIN; ALTER ROLE db_datareader ADD MEMBER "+reader+
				"; GRANT IMPERSONATE ON USER::"+reader+" TO the login's user.")
	}
	if err != nil {
		return classify(op, err)
	}
	if may, err = s.mayWrite(ctx, op); err != nil || !may {
		return err
	}
	return failure.New(failure.ConfigInvalid, op, "user "+reader+" of the database may write", "Leave it in db_datareader alone.")
}

func (s *session) mayWrite(ctx context.Context, op string) (bool, error) {
	var may int
	err := s.QueryRowContext(ctx, mayWrite).Scan(&may)
	return may != 0, classify(op, err)
}
