package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// old is the kind under which a mark table has a program of the target that is replaced.
func old(kind string) string { return "old " + strings.ToLower(kind) }

// setAside records what the target has of every kind, all of it before the first trigger is dropped.
func (s *session) setAside(ctx context.Context, names restoreNames) error {
	programs, err := s.oldPrograms(ctx, names.target)
	if err != nil {
		return err
	}
	known, err := s.recordedOld(ctx, names.staging)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if slices.Contains(known, p) {
			continue
		}
		kind := p.kind
		p.kind = old(kind)
		if err := s.mark(ctx, names.staging, p); err != nil {
			return classify(fmt.Sprintf("record %s %s", strings.ToLower(kind), named(names.target, p.name)), err)
		}
	}
	return s.dropTriggers(ctx, names.target)
}

// oldPrograms are the target's. A trigger that can not be read ends the restore, as it could not be made again; of
// anything else that can not be, only the name is known.
func (s *session) oldPrograms(ctx context.Context, target string) ([]program, error) {
	there, err := s.programNames(ctx, target)
	if err != nil {
		return nil, err
	}
	if err := s.exec(ctx, "USE "+quoted(target)); err != nil {
		return nil, classify("use database "+quoted(target), err)
	}
	var programs []program
	for _, kind := range programKinds {
		for _, name := range there[kind] {
			p, err := s.programOf(ctx, target, kind, name)
			unread := err != nil && kind != kindTrigger && (errors.Is(err, errNotShown) || errorNumber(err) != 0)
			if err != nil && !unread {
				return nil, classify(fmt.Sprintf("read %s %s", strings.ToLower(kind), quoted(name)), err)
			}
			if unread {
				p = program{kind: kind, name: name}
			}
			programs = append(programs, p)
		}
	}
	defaults, err := s.defaultsOf(ctx, target)
	return append(programs, defaults...), err
}

// recordedOld reads what the target had from a mark table.
func (s *session) recordedOld(ctx context.Context, database string) ([]program, error) {
	var programs []program
	for _, kind := range programKinds {
		found, err := s.recorded(ctx, database, old(kind))
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			p.kind = kind
			programs = append(programs, p)
		}
	}
	return programs, nil
}

// keepOld makes what the target had in the database old, beside its tables, unless it is there already. Events do not run
// there. The error tells what could not be made.
func (s *session) keepOld(ctx context.Context, names restoreNames) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	programs, lost, err := s.missingIn(ctx, names.old, names.target)
	if err != nil || len(programs) == 0 {
		return errors.Join(append(lost, err)...)
	}
	if err := s.exec(ctx, "USE "+quoted(names.old), "SET foreign_key_checks = 0"); err != nil {
		return classify("use database "+quoted(names.old), err)
	}
	collation, err := charsetOf(ctx, s, names.old)
	if err != nil {
		return err
	}
	for _, kind := range programKinds {
		failures, err := s.makeKind(ctx, names.old, collation[1], kind, programs)
		if lost = append(lost, failures...); err != nil {
			return errors.Join(append(lost, err)...)
		}
	}
	return errors.Join(lost...)
}

// missingIn are the programs that the mark of the target says it had and that a database does not have, as they can be made
// there; lost are those that could not be read.
func (s *session) missingIn(ctx context.Context, database, target string) (programs []program, lost []error, err error) {
	if has, err := s.hasMarkTable(ctx, target); err != nil || !has {
		return nil, nil, err
	}
	had, err := s.recordedOld(ctx, target)
	if err != nil {
		return nil, nil, err
	}
	there, err := s.programNames(ctx, database)
	if err != nil {
		return nil, nil, err
	}
	mayDefine, err := s.mayDefine(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range had {
		switch {
		case slices.Contains(there[p.kind], p.name):
		case p.statement == "":
			lost = append(lost, fmt.Errorf("read %s %s: %w", strings.ToLower(p.kind), quoted(p.name), errNotShown))
		default:
			programs = append(programs, elsewhere(p, mayDefine))
		}
	}
	return programs, lost, nil
}

// elsewhere is a program as it is made in another database than its own.
func elsewhere(p program, mayDefine bool) program {
	text := []byte(p.statement)
	switch p.kind {
	case kindDefault:
		return p
	case kindTrigger:
		text = replaceFirst(triggerNames, text, []byte("${1}${2}${3}"))
	case kindEvent:
		text, _ = disabledEvent(text)
	}
	if at := definer.FindIndex(text[:min(len(text), maxHead)]); at != nil && !mayDefine { // it becomes the user's own
		text = slices.Concat(text[:at[0]], text[at[1]:])
	}
	p.statement = string(text)
	return p
}
