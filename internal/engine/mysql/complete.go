package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// complete is steps 5 and 6 of Promote. Every part of it may be done again. A target that might be replaced only because
// it was empty had nothing that has to go: what somebody has made there since stays.
func (s *session) complete(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	if open, err := s.isUnfinished(ctx, names.target); err != nil || !open {
		return err
	}
	if err := s.exec(ctx, "USE "+quoted(names.target), "SET foreign_key_checks = 0"); err != nil {
		return classify("use database "+quoted(names.target), err)
	}
	if exists, err := s.hasDatabase(ctx, names.staging); err != nil {
		return err
	} else if exists {
		clause, err := s.clauseOf(ctx, names.staging)
		if err == nil {
			err = classify("set the character set of database "+quoted(names.target), s.exec(ctx, "ALTER DATABASE "+quoted(names.target)+clause))
		}
		if err != nil {
			return err
		}
	}
	programs, err := s.recorded(ctx, names.target, programKinds...)
	if err != nil {
		return err
	}
	if req.MayReplace() {
		if err := s.dropOthers(ctx, names.target, programs); err != nil {
			return err
		}
	}
	if err := s.makeAll(ctx, names.target, programs); err != nil {
		return err
	}
	return s.moveMark(ctx, names)
}

// isUnfinished reports whether the mark table of a target says that something has to be done there yet. Where it stays,
// for want of comments, it has nothing but the token at the end: what is not recorded any more would be dropped.
func (s *session) isUnfinished(ctx context.Context, target string) (bool, error) {
	has, err := s.hasMarkTable(ctx, target)
	if err != nil || !has {
		return false, err
	}
	left, err := queryOne[int](ctx, s, "select count(*) from "+named(target, markTable)+" where kind <> "+literal(kindLoaded))
	return left > 0, classify("read the mark of database "+quoted(target), err)
}

// dropOthers drops what the replaced database had and the restored one has not.
func (s *session) dropOthers(ctx context.Context, target string, programs []program) error {
	there, err := s.programNames(ctx, target)
	if err != nil {
		return err
	}
	for _, kind := range programKinds {
		for _, name := range there[kind] {
			if slices.ContainsFunc(programs, func(p program) bool { return p.kind == kind && p.name == name }) {
				continue
			}
			if err := s.exec(ctx, "DROP "+kind+" IF EXISTS "+quoted(name)); err != nil {
				return classify("drop "+kind+" "+quoted(name), err)
			}
		}
	}
	return nil
}

// makeAll makes programs kind by kind. Those of a kind may use each other: what fails is tried again after
// the others, as long as that helps.
func (s *session) makeAll(ctx context.Context, target string, programs []program) error {
	collation, err := charsetOf(ctx, s, target)
	if err != nil {
		return err
	}
	for _, kind := range programKinds {
		if failures, err := s.makeKind(ctx, target, collation[1], kind, programs); err != nil || len(failures) > 0 {
			return errors.Join(append(failures, err)...)
		}
	}
	return nil
}

// makeKind is makeAll for one kind. It returns why some could not be made; an err is that the server gave no answer.
func (s *session) makeKind(ctx context.Context, target, collation, kind string, programs []program) (failures []error, err error) {
	waiting := slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return p.kind != kind })
	for len(waiting) > 0 {
		var failed []program
		failures = nil
		for _, p := range waiting {
			if err := s.makeIn(ctx, target, collation, p); err != nil {
				if errorNumber(err) == 0 {
					return nil, err
				}
				failed, failures = append(failed, p), append(failures, err)
			}
		}
		if len(failed) == len(waiting) {
			break
		}
		waiting = failed
	}
	return failures, nil
}

// makeIn makes a program while the database has the collation that it is read under.
func (s *session) makeIn(ctx context.Context, target, collation string, p program) error {
	if p.database == "" || p.database == collation {
		return s.make(ctx, p)
	}
	if err := s.exec(ctx, "ALTER DATABASE "+quoted(target)+" COLLATE "+quoted(p.database)); err != nil {
		return classify("set the collation of database "+quoted(target), err)
	}
	err := s.make(ctx, p)
	return errors.Join(err, s.exec(ctx, "ALTER DATABASE "+quoted(target)+" COLLATE "+quoted(collation)))
}

// moveMark keeps what says that the target is this restore's result, and nothing else of the mark table.
func (s *session) moveMark(ctx context.Context, names restoreNames) error {
	op := "mark database " + quoted(names.target) + " as restored"
	if !s.hasComments() {
		return classify(op, s.exec(ctx, "DELETE FROM "+named(names.target, markTable)+" WHERE kind <> "+literal(kindLoaded)))
	}
	comment, err := s.comment(ctx, names.target)
	if err != nil {
		return err
	}
	return classify(op, s.exec(ctx,
		"ALTER DATABASE "+quoted(names.target)+" COMMENT "+literal(withMark(comment, names.token)),
		"DROP TABLE IF EXISTS "+named(names.target, markTable)))
}

// reconnectAttempts bounds how often a lost connection is made again to drop what is not needed any more.
const reconnectAttempts = 3

// clearUp is step 7. The restore has succeeded: what can not be dropped is a warning, unless the context has ended.
// It connects anew, in case that was the trouble, but does not ask a server again that gave its answer.
func clearUp(ctx context.Context, target engine.Source, names restoreNames) ([]string, error) {
	var err error
	for range reconnectAttempts {
		if err = dropLeftovers(ctx, target, names); err == nil {
			return nil, nil
		}
		if ctx.Err() != nil {
			return nil, failure.Wrap(failure.ClassOf(ctx.Err()), "drop database "+quoted(names.old), ctx.Err(), "")
		}
		if errorNumber(err) != 0 {
			break
		}
	}
	return []string{fmt.Sprintf("database %s holds the restored data, but what it replaced may still be there as database %s: drop it by hand when nothing uses it any more. The reason: %s",
		quoted(names.target), quoted(names.old), failure.Message(err))}, nil
}

func dropLeftovers(ctx context.Context, target engine.Source, names restoreNames) error {
	s, err := connect(ctx, target, "")
	if err != nil {
		return err
	}
	defer s.close()
	return classify("drop what was replaced",
		s.exec(ctx, "SET foreign_key_checks = 0", "DROP DATABASE IF EXISTS "+quoted(names.staging), "DROP DATABASE IF EXISTS "+quoted(names.old)))
}

// Discard drops the staging database. Where a crash left the target without its triggers, they are made again first; a
// swap that has happened is finished, because nothing else can make the target whole. Otherwise the target is not touched,
// nor is what a promoted restore replaced.
func (e *Engine) Discard(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	names, err := namesOf(req)
	if err != nil {
		return err
	}
	s, err := connect(ctx, target, "")
	if err != nil {
		return err
	}
	defer s.close()
	var unfinished error
	if !req.Scratch {
		swapped, err := s.isMarked(ctx, names.target, kindLoaded, names.token)
		if err != nil {
			return err
		}
		if swapped {
			if unfinished, err = s.finishSwap(ctx, names, req); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(unfinished, s.dropStaging(ctx, names)); err != nil || req.Scratch {
		return err
	}
	return s.nameOld(ctx, names, req)
}

// finishSwap makes a target whole whose tables were moved already, and says so. A swap that was
// finished before, whose mark the server has no other place for, is nothing to tell.
func (s *session) finishSwap(ctx context.Context, names restoreNames, req engine.StageRequest) (unfinished, err error) {
	open, err := s.isUnfinished(ctx, names.target)
	if err != nil || !open {
		return nil, err
	}
	lost := s.keepOld(ctx, names)
	if err := s.complete(ctx, names, req); err != nil {
		return halfDone(names, err, lost), nil
	}
	if lost != nil {
		req.Say("not all that database %s held before could be kept in database %s: %s", quoted(names.target), quoted(names.old), failure.Message(lost))
	}
	req.Say("the restore had replaced the tables of database %s when it stopped; the clean-up has finished it: the database holds the restored data", quoted(names.target))
	return nil, nil
}

// nameOld says where what was replaced is, if it is still there.
func (s *session) nameOld(ctx context.Context, names restoreNames, req engine.StageRequest) error {
	kept, err := s.hasDatabase(ctx, names.old)
	if kept {
		req.Say("what database %s held before is kept in database %s: look at it, and drop it by hand when nothing needs it", quoted(names.target), quoted(names.old))
	}
	return err
}

// dropStaging undoes a swap that has not happened.
func (s *session) dropStaging(ctx context.Context, names restoreNames) error {
	if names.target != "" {
		if err := s.restoreTriggers(ctx, names); err != nil {
			return err
		}
		if left, err := s.countObjects(ctx, names.old); err != nil {
			return err
		} else if exists, err := s.hasDatabase(ctx, names.old); err != nil {
			return err
		} else if exists && left == 0 {
			if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+quoted(names.old)); err != nil {
				return classify("drop database "+quoted(names.old), err)
			}
		}
	}
	err := s.exec(ctx, "SET foreign_key_checks = 0", "DROP DATABASE IF EXISTS "+quoted(names.staging))
	return classify("drop database "+quoted(names.staging), err)
}
