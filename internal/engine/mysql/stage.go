package mysql

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Stage makes the staging database with the character set of the backup's, loads the stream with the client, which
// stops at the first error, records what has to be made again in the target, and marks the database as loaded. On any
// error, and when ctx ends, the staging database is dropped again.
func (e *Engine) Stage(ctx context.Context, target engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	names, err := namesOf(req)
	if err != nil {
		return engine.StageReport{}, err
	}
	stream, err := mainStream(req.Streams)
	if err != nil {
		return engine.StageReport{}, err
	}
	if err := refusePaths(req); err != nil {
		return engine.StageReport{}, err
	}
	s := &staging{engine: e, target: target, names: names, stream: stream, scratch: req.Scratch, attempt: rand.Text(), choice: engine.NewChoice(req.IncludeTables)}
	if err := s.load(ctx, open); err != nil {
		return engine.StageReport{}, errors.Join(err, s.remove(ctx))
	}
	return engine.StageReport{Staging: names.staging, Tables: s.tables, Warnings: s.warnings}, nil
}

// staging is one run of Stage.
type staging struct {
	engine *Engine
	target engine.Source
	names  restoreNames
	stream engine.Stream
	// attempt is this run. A lost one may wake up while a later one loads under the same name: it must
	// neither drop that one's database nor call it loaded.
	attempt string
	scratch bool
	choice  *engine.Choice // of tables; nil is all

	client       tool
	keepDefiners bool
	collations   *collations
	tables       int
	warnings     []string
}

func (s *staging) load(ctx context.Context, open engine.Opener) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	loaded, err := s.push(ctx, open)
	if err != nil {
		return err
	}
	return s.finish(ctx, loaded)
}

// create makes the empty staging database.
func (s *staging) create(ctx context.Context) error {
	server, err := connect(ctx, s.target, "")
	if err != nil {
		return err
	}
	defer server.close()
	var doubts []string
	if s.client, doubts, err = s.engine.tools.client(ctx, server.version); err != nil {
		return err
	}
	s.warnings = append(s.warnings, doubts...)
	if err := server.dropStaging(ctx, s.names); err != nil {
		return err
	}
	if s.keepDefiners, err = server.mayDefine(ctx); err != nil {
		return err
	}
	op := "make database " + quoted(s.names.staging)
	if s.collations, err = server.collations(ctx); err != nil {
		return err
	}
	clause, warnings, err := server.databaseClause(ctx, s.stream, s.collations)
	if err != nil {
		return err
	}
	s.warnings = append(s.warnings, warnings...)
	if err := server.exec(ctx, "CREATE DATABASE "+quoted(s.names.staging)+clause); err != nil {
		return classify(op, err)
	}
	return classify(op, server.makeMark(ctx, s.names.staging, s.attempt))
}

// push loads the dump with the client.
func (s *staging) push(ctx context.Context, open engine.Opener) (*loader, error) {
	dump, err := open(ctx, s.stream.Name, 0)
	if err != nil {
		return nil, failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
	}
	defer dump.Close()
	env, err := newToolEnv(ctx, s.target, s.client)
	if err != nil {
		return nil, err
	}
	defer env.remove()
	// In binary mode nothing in a dump is a command to the client but DELIMITER.
	command := env.command(s.client, s.target, "--batch", "--binary-mode", "--comments", "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
		"--database="+s.names.staging)
	loaded := newLoader(dump, s.stream.Properties[propDatabase], s.names.staging, s.keepDefiners)
	loaded.take(s.choice)
	loaded.collations = s.collations
	stderr, err := process.Push(ctx, command, loaded)
	if err != nil {
		return nil, classifyTool("load into database "+quoted(s.names.staging), env.explain(err))
	}
	s.warnings = append(append(s.warnings, warnings(stderr)...), s.collations.warnings()...)
	return loaded, s.choice.Missing()
}

// finish counts what is there, records what Promote has to make, and sets the mark, which is last: Promote takes
// a staging with a mark only.
func (s *staging) finish(ctx context.Context, loaded *loader) error {
	server, err := connect(ctx, s.target, "")
	if err != nil {
		return err
	}
	defer server.close()
	if ours, err := server.isMarked(ctx, s.names.staging, kindAttempt, s.attempt); err != nil || !ours {
		return errors.Join(errSuperseded, err)
	}
	if s.choice != nil {
		dropped, err := server.dropLooseKeys(ctx, s.names.staging)
		if err != nil {
			return err
		}
		s.warnings = append(s.warnings, dropped...)
	}
	s.tables, err = queryOne[int](ctx, server, `select count(*) from information_schema.tables
		where table_schema = ? and table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and table_name <> ?`, s.names.staging, markTable)
	if err != nil {
		return classify("count the restored tables", err)
	}
	s.warnings = append(s.warnings, server.definerWarnings(ctx, loaded.definerAccounts(), s.keepDefiners)...)
	if s.scratch { // nothing is promoted; events stay disabled, whatever comes of the database
		return classify("clear the mark of database "+quoted(s.names.staging), server.exec(ctx, "DROP TABLE "+named(s.names.staging, markTable)))
	}
	if err := server.record(ctx, s.names.staging, loaded.enabled); err != nil {
		return err
	}
	return classify("mark database "+quoted(s.names.staging)+" as loaded",
		server.mark(ctx, s.names.staging, program{kind: kindLoaded, name: s.names.token}))
}

var errSuperseded = failure.New(failure.Unknown, "finish the restore", "another attempt of it has taken the staging database over", "")

// remove drops the staging database after a failure, also when ctx has ended.
func (s *staging) remove(ctx context.Context) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	server, err := connect(ctx, s.target, "")
	if err == nil {
		defer server.close()
		var ours bool
		if ours, err = server.isMarked(ctx, s.names.staging, kindAttempt, s.attempt); err == nil && ours {
			err = server.dropStaging(ctx, s.names)
		}
	}
	return failure.Wrap(failure.ClassOf(err), "remove what was loaded", err, "")
}

// mayDefine reports whether the user may make programs that run with the rights of others.
func (s *session) mayDefine(ctx context.Context) (bool, error) {
	grants, err := s.queryColumn(ctx, "SHOW GRANTS FOR CURRENT_USER")
	if err != nil {
		return false, classify("ask for the user's rights", err)
	}
	for _, grant := range grants {
		rights, _, onAll := strings.Cut(grant, " ON *.* ")
		if !onAll {
			continue
		}
		for right := range strings.SplitSeq(strings.TrimPrefix(rights, "GRANT "), ",") {
			switch strings.TrimSpace(right) {
			case "ALL PRIVILEGES", "SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER":
				return true, nil
			}
		}
	}
	return false, nil
}

// definerWarnings tells whose rights the programs of the dump run with, where that is not as it was.
func (s *session) definerWarnings(ctx context.Context, definers []account, kept bool) []string {
	var theirs, missing []string
	for _, d := range definers {
		theirs = append(theirs, d.String())
		// Who may not look there is not told.
		count, err := queryOne[int](ctx, s, "select count(*) from mysql.user where user = ? and host = ?", d.user, d.host)
		if err == nil && count == 0 {
			missing = append(missing, d.String())
		}
	}
	switch {
	case len(theirs) > 0 && !kept:
		return []string{"views, triggers, routines and events belong to the user of the restore, which may not make them for others; they were of " +
			strings.Join(theirs, ", ")}
	case len(missing) > 0:
		return []string{"the server lacks these users, which views, triggers, routines or events of the backup run as; they fail until the users are made: " +
			strings.Join(missing, ", ")}
	}
	return nil
}
