package sqlserver

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CheckTarget looks at names, streams, the directory, the login's rights, the server's version and what
// the target holds.
func (e *Engine) CheckTarget(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	if err := refuseTables(req); err != nil {
		return err
	}
	backup, err := setsOf(req.Streams)
	if err != nil && !req.BeforeBackup {
		return err
	}
	server, err := maintenance(ctx, target)
	if err != nil {
		return err
	}
	defer server.close()
	dir, err := e.openDirectory(target.Config)
	if err != nil {
		return err
	}
	dir.close()
	var latest engine.Stream
	if !req.BeforeBackup {
		latest = backup.latest()
	}
	if err := server.checkAble(ctx, latest); err != nil {
		return err
	}
	if req.Scratch {
		return nil
	}
	existing, err := server.find(ctx, names.target, names)
	if err != nil {
		return err
	}
	return server.checkReplaceable(ctx, existing, req)
}

func refuseTables(req engine.StageRequest) error {
	if len(req.IncludeTables)+len(req.IncludePaths) > 0 {
		return failure.New(failure.Unsupported, "choose what is restored", "SQL Server restores whole databases only",
			"Restore the whole database under another name, and copy the tables from it.")
	}
	return nil
}

// checkAble looks at the server's version and the login's rights.
func (a *admin) checkAble(ctx context.Context, backup engine.Stream) error {
	version, err := a.version(ctx)
	if err != nil {
		return err
	}
	const op = "check the server"
	if version.azure {
		return failure.New(failure.Unsupported, op, "Azure SQL reads no backups from directories", "Restore into a SQL Server that has a disk.")
	}
	if made := majorOf(backup.Properties[propServerVersion]); made > version.major {
		return failure.New(failure.Unsupported, op, fmt.Sprintf("the backup was made by version %s, the server has %s", backup.Properties[propServerVersion], version.text),
			"SQL Server reads backups of its own and of older versions only; restore into a newer server.")
	}
	var may int
	err = a.QueryRowContext(ctx, "SELECT CONVERT(int, ISNULL(HAS_PERMS_BY_NAME(NULL, NULL, 'CREATE ANY DATABASE'), 0))").Scan(&may)
	if err != nil {
		return classify("ask for the login's rights", err)
	}
	if may == 0 {
		login := quoted(a.src.Config.Username)
		return failure.New(failure.ConfigInvalid, "check the rights of login "+login, "it may not create databases, and a restore loads into a new one",
			fmt.Sprintf("Run: ALTER SERVER ROLE dbcreator ADD MEMBER %s;", login))
	}
	return nil
}

// checkReplaceable refuses a target that is there and must not, or can not, be replaced. A target that
// this restore itself put there is left to Promote.
func (a *admin) checkReplaceable(ctx context.Context, existing *database, req engine.StageRequest) error {
	if existing == nil || existing.ours {
		return nil
	}
	op := "check the target database " + quoted(existing.name)
	switch {
	case existing.state != stateOnline:
		return failure.New(failure.ConfigInvalid, op, "it is "+existing.state, "Bring it online, drop it, or restore into another target_database.")
	case req.DropExisting:
		return nil
	case existing.access == singleUser:
		return failure.New(failure.ConfigInvalid, op, "it is in single-user mode, so that nobody can see whether it is empty", "Set drop_existing to replace it.")
	}
	var objects int
	err := a.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(existing.name)+".sys.objects WHERE is_ms_shipped = 0").Scan(&objects)
	if err != nil {
		return classify(op, err)
	}
	if objects > 0 {
		return failure.New(failure.ConfigInvalid, op, "it exists and is not empty", "Set drop_existing to replace it, or give another target_database.")
	}
	return nil
}
