package mysql

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CheckTarget looks at names, streams, the client tool, the user's rights and what the target holds. That
// the user may make databases is tried: the staging database is made and dropped again.
func (e *Engine) CheckTarget(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	if _, err := mainStream(req.Streams); err != nil && !req.BeforeBackup {
		return err
	}
	if err := refusePaths(req); err != nil {
		return err
	}
	s, err := connect(ctx, target, "")
	if err != nil {
		return err
	}
	defer s.close()
	if _, _, err := e.tools.client(ctx, s.version); err != nil {
		return err
	}
	if exists, err := s.hasDatabase(ctx, names.staging); err != nil {
		return err
	} else if !exists {
		if err := s.exec(ctx, "CREATE DATABASE "+quoted(names.staging), "DROP DATABASE "+quoted(names.staging)); err != nil {
			return failure.Wrap(failure.ConfigInvalid, fmt.Sprintf("make database %s, which a restore loads into", quoted(names.staging)),
				classify("", err), "")
		}
	}
	if req.Scratch {
		return nil
	}
	return s.checkReplaceable(ctx, names, req)
}

func refusePaths(req engine.StageRequest) error {
	if len(req.IncludePaths) == 0 {
		return nil
	}
	return failure.New(failure.Unsupported, "choose what is restored", "a database has no paths", "Leave include_paths empty.")
}

// hasDatabase reports whether the server has a database, as far as the user may see.
func (s *session) hasDatabase(ctx context.Context, name string) (bool, error) {
	count, err := queryOne[int](ctx, s, "select count(*) from information_schema.schemata where schema_name = ?", name)
	return count > 0, classify("look for database "+quoted(name), err)
}

// checkReplaceable refuses a target that is there and must not, or can not, be replaced. A target that
// this restore itself put there is left to Promote.
func (s *session) checkReplaceable(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	op := checkOp(names)
	exists, err := s.hasDatabase(ctx, names.target)
	if err != nil || !exists {
		return err
	}
	if restored, err := s.isResult(ctx, names); err != nil || restored {
		return err
	}
	if !req.MayReplace() {
		full, err := s.countObjects(ctx, names.target)
		if err != nil || full == 0 {
			return err
		}
		return notEmpty(names, req)
	}
	outside, err := s.queryColumn(ctx, `select distinct concat(constraint_schema, '.', table_name) from information_schema.key_column_usage
		where referenced_table_schema = ? and constraint_schema not in (?, ?, ?) order by 1`, names.target, names.target, names.staging, names.old)
	if err != nil {
		return classify(op, err)
	}
	if len(outside) > 0 {
		return failure.New(failure.ConfigInvalid, op, fmt.Sprintf("foreign keys of other databases point into it: %q", outside),
			"Drop these foreign keys, or restore into another target_database: they would point to what is replaced.")
	}
	return nil
}

func checkOp(names restoreNames) string { return "check the target database " + quoted(names.target) }

func notEmpty(names restoreNames, req engine.StageRequest) error {
	return failure.New(failure.ConfigInvalid, checkOp(names), "it exists and is not empty", req.NotEmptyHint())
}

// countObjects counts what a new database does not have.
func (s *session) countObjects(ctx context.Context, database string) (int, error) {
	count, err := queryOne[int](ctx, s, `select (select count(*) from information_schema.tables where table_schema = ? and table_name <> ?)
		+ (select count(*) from information_schema.routines where routine_schema = ?)
		+ (select count(*) from information_schema.events where event_schema = ?)`, database, markTable, database, database)
	return count, classify("look into database "+quoted(database), err)
}
