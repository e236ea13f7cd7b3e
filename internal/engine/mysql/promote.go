package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Promote moves the tables of the target into the database old, and those of the staging into the target, in one
// RENAME TABLE; the mark table is one of them. What can not be moved is made again in the target after it:
//
//  1. the databases target and old are made, where they are not there
//  2. the triggers of the staging, which are recorded, are dropped: a table with triggers can not be moved
//  3. the target's programs are recorded in the staging, and its triggers dropped
//  4. RENAME TABLE. A failure makes the target's triggers again; so does Discard after a crash.
//  5. routines, defaults, views, triggers and events are made in the target as recorded; those it had are dropped. After a
//     failure those it had are made in old as recorded, beside the tables; so they are by Discard.
//  6. the mark is cleared; where databases have comments it moves there
//  7. staging and old are dropped
//
// After a crash it begins where the marks say it was. From step 4 on the target is replaced.
func (e *Engine) Promote(ctx context.Context, target engine.Source, req engine.StageRequest) (warnings []string, err error) {
	if req.Scratch {
		return nil, failure.New(failure.ConfigInvalid, "promote a restore", "it is a verification, which replaces nothing", "")
	}
	names, err := namesOf(req)
	if err != nil {
		return nil, err
	}
	s, err := connect(ctx, target, "")
	if err != nil {
		return nil, err
	}
	defer s.close()
	committed, err := s.isResult(ctx, names)
	if err != nil {
		return nil, err
	}
	if !committed {
		if err := s.checkLoaded(ctx, names); err != nil {
			return nil, err
		}
		// What is in the target may have changed since CheckTarget.
		if err := s.checkReplaceable(ctx, names, req); err != nil {
			return nil, err
		}
		if err := s.swap(ctx, names, req); err != nil {
			return nil, err
		}
	}
	if err := s.complete(ctx, names, req); err != nil {
		return nil, halfDone(names, err, s.keepOld(ctx, names))
	}
	return clearUp(ctx, target, names)
}

// halfDone says where everything is after an error behind the swap: the failed statement alone would read as if the
// target were as before. lost is why something that it held before is not in database old.
func halfDone(names restoreNames, err, lost error) error {
	if err == nil {
		return nil
	}
	kept := "what it held before is kept in database " + quoted(names.old)
	if lost != nil {
		kept += fmt.Sprintf(", its tables at least: not everything else could be made there, of which table %s has the definitions: %s", named(names.target, markTable), failure.Message(lost))
	}
	return &failure.Error{
		Class: failure.ClassOf(err), Cause: err,
		Op: fmt.Sprintf("finish the restore of database %s, whose tables are the restored ones already, while its views, triggers, routines and events are not all made (%s)",
			quoted(names.target), kept),
		Hint: strings.TrimSpace(failure.HintOf(err) + fmt.Sprintf(" When that is mended, restore again with drop_existing; database %s is yours to look at and to drop.", quoted(names.old))),
	}
}

func (s *session) checkLoaded(ctx context.Context, names restoreNames) error {
	op := "promote database " + quoted(names.staging)
	exists, err := s.hasDatabase(ctx, names.staging)
	if err != nil {
		return err
	}
	if !exists {
		return failure.New(failure.NotFound, op, fmt.Sprintf("it does not exist, and %s is not the result of this restore", quoted(names.target)), "Run the restore again.")
	}
	loaded, err := s.isMarked(ctx, names.staging, kindLoaded, names.token)
	if err != nil {
		return err
	}
	if !loaded {
		return failure.New(failure.Corrupt, op, "it was not loaded to the end", "Run the restore again.")
	}
	return nil
}

// swap is steps 1 to 4.
func (s *session) swap(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	op := fmt.Sprintf("give database %s its restored content", quoted(names.target))
	charset, err := s.clauseOf(ctx, names.staging)
	if err != nil {
		return err
	}
	err = s.exec(ctx,
		"SET lock_wait_timeout = 20, foreign_key_checks = 0, autocommit = 1",
		"CREATE DATABASE IF NOT EXISTS "+quoted(names.target)+charset,
		"CREATE DATABASE IF NOT EXISTS "+quoted(names.old)+charset)
	if err != nil {
		return classify(op, err)
	}
	if err := s.dropTriggers(ctx, names.staging); err != nil {
		return err
	}
	rename, err := s.renameStatement(ctx, names, req)
	if err == nil && req.MayReplace() {
		err = s.setAside(ctx, names)
	}
	if err == nil {
		err = classify(op, s.exec(ctx, rename))
	}
	if err != nil {
		return s.undo(ctx, names, err)
	}
	return nil
}

// undo makes the target again what it was. Whether the server still carried the statement out when the
// connection was lost, the mark tells.
func (s *session) undo(ctx context.Context, names restoreNames, cause error) error {
	if errorNumber(cause) == 0 { // no answer: Promote and Discard look again
		return cause
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := s.restoreTriggers(ctx, names); err != nil {
		return fmt.Errorf("%w (and its triggers are not back yet: %w)", cause, err)
	}
	return cause
}

func (s *session) clauseOf(ctx context.Context, database string) (string, error) {
	charset, err := charsetOf(ctx, s, database)
	if err != nil {
		return "", err
	}
	return " CHARACTER SET " + quoted(charset[0]) + " COLLATE " + quoted(charset[1]), nil
}

func (s *session) dropTriggers(ctx context.Context, database string) error {
	triggers, err := s.programNames(ctx, database)
	if err != nil {
		return err
	}
	for _, name := range triggers[kindTrigger] {
		if err := s.exec(ctx, "DROP TRIGGER IF EXISTS "+named(database, name)); err != nil {
			return classify("drop trigger "+named(database, name), err)
		}
	}
	return nil
}

// restoreTriggers makes the target's triggers again that were dropped for a swap that did not happen.
func (s *session) restoreTriggers(ctx context.Context, names restoreNames) error {
	if has, err := s.hasMarkTable(ctx, names.staging); err != nil || !has {
		return err
	}
	aside, err := s.recorded(ctx, names.staging, old(kindTrigger))
	if err != nil || len(aside) == 0 {
		return err
	}
	there, err := s.programNames(ctx, names.target)
	if err != nil {
		return err
	}
	if err := s.exec(ctx, "USE "+quoted(names.target)); err != nil {
		return classify("use database "+quoted(names.target), err)
	}
	for _, p := range aside {
		if slices.Contains(there[kindTrigger], p.name) {
			continue
		}
		p.kind = kindTrigger
		if err := s.make(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// renameStatement moves every table, and the views of the target that are in a new table's way: views can not
// leave their database. A target that may be replaced only while it is empty has to be so here too: what is in the
// statement is moved away and dropped, and what is made after it stays where it is.
func (s *session) renameStatement(ctx context.Context, names restoreNames, req engine.StageRequest) (string, error) {
	const list = "select table_name, table_type from information_schema.tables where table_schema = ? order by table_name"
	before, err := s.queryRows(ctx, list, names.target)
	if err != nil {
		return "", classify("list the tables", err)
	}
	if others := slices.DeleteFunc(slices.Clone(before), func(t []string) bool { return t[0] == markTable }); len(others) > 0 && !req.MayReplace() {
		return "", notEmpty(names, req)
	}
	after, err := s.queryRows(ctx, list, names.staging)
	if err != nil {
		return "", classify("list the tables", err)
	}
	statement := "RENAME TABLE "
	for i, table := range before {
		isView := relation{kind: table[1]}.isView()
		switch {
		case !isView:
			statement += named(names.target, table[0]) + " TO " + named(names.old, table[0]) + ", "
		case slices.ContainsFunc(after, func(t []string) bool { return t[0] == table[0] && !relation{kind: t[1]}.isView() }):
			aside := fmt.Sprintf("_dg_old_%s_%d", names.token, i)
			statement += named(names.target, table[0]) + " TO " + named(names.target, aside) + ", "
		}
	}
	for _, table := range after {
		if !(relation{kind: table[1]}).isView() && table[0] != markTable {
			statement += named(names.staging, table[0]) + " TO " + named(names.target, table[0]) + ", "
		}
	}
	return statement + named(names.staging, markTable) + " TO " + named(names.target, markTable), nil
}
