package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Stage creates the staging database with the dump's encoding and locale, loads the stream with
// pg_restore, which stops at the first error, and marks the database as loaded. Owners and
// privileges are kept if the user is a superuser and every role of the dump exists on the server;
// otherwise everything belongs to the user, and a warning says so. On any error, and when ctx
// ends, the staging database is dropped again.
func (e *Engine) Stage(ctx context.Context, target engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	names, err := namesOf(req)
	if err != nil {
		return engine.StageReport{}, err
	}
	stream, err := mainStream(req.Streams)
	if err != nil {
		return engine.StageReport{}, err
	}
	restorer, err := e.tools.atLeast(ctx, "pg_restore", archiveMajor(stream))
	if err != nil {
		return engine.StageReport{}, err
	}
	s := &staging{target: target, req: req, names: names, stream: stream, restorer: restorer}
	if err := s.load(ctx, open); err != nil {
		return engine.StageReport{}, errors.Join(err, s.remove(ctx))
	}
	return engine.StageReport{Staging: names.staging, Tables: s.tables, Warnings: s.warnings}, nil
}

// staging is one run of Stage.
type staging struct {
	target   engine.Source
	req      engine.StageRequest
	names    restoreNames
	stream   engine.Stream
	restorer tool

	// oid is the staging database this run made. A lost attempt may wake up while a later one
	// loads under the same name: it must neither drop that one's database nor call it loaded.
	oid        uint32
	keepOwners bool
	// moveTables puts what was in other tablespaces into the database's own.
	moveTables bool
	tables     int
	warnings   []string
}

func (s *staging) load(ctx context.Context, open engine.Opener) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	if s.stream.Properties[propPartial] == "true" {
		if err := s.prepareForTables(ctx); err != nil {
			return err
		}
	}
	if err := s.restore(ctx, open); err != nil {
		return err
	}
	return s.finish(ctx)
}

// create makes the empty staging database. It keeps no connection while pg_restore works: one to
// template1 would stand in others' way.
func (s *staging) create(ctx context.Context) error {
	server, err := maintenance(ctx, s.target, s.names.target)
	if err != nil {
		return err
	}
	defer server.close()
	if err := server.drop(ctx, s.names.staging); err != nil {
		return err
	}
	if err := s.decideOwners(ctx, server); err != nil {
		return err
	}
	if err := s.decideTablespaces(ctx, server); err != nil {
		return err
	}
	tablespace := ""
	if !s.req.Scratch {
		if existing, err := server.find(ctx, s.names.target); err != nil {
			return err
		} else if existing != nil && existing.Tablespace != "pg_default" {
			tablespace = existing.Tablespace
		}
	}
	warning, err := server.create(ctx, s.names.staging, s.stream.Properties, tablespace)
	if warning != "" {
		s.warnings = append(s.warnings, warning)
	}
	if err != nil {
		return err
	}
	known, cancel := detached(ctx) // what was made has to be known to be removed
	defer cancel()
	if s.oid, err = server.oid(known, s.names.staging); err != nil {
		return err
	}
	if s.req.Private {
		if err := server.keepOut(ctx, s.names.staging); err != nil {
			return err
		}
	}
	return server.tuneForLoading(ctx, s.names.staging, s.req.Jobs)
}

func (s *staging) decideOwners(ctx context.Context, server *admin) error {
	roles, err := listOf[string](s.stream, propRoles)
	if err != nil {
		return err
	}
	missing, err := server.missingRoles(ctx, roles)
	if err != nil {
		return err
	}
	switch {
	case !server.superuser:
		s.warnings = append(s.warnings, fmt.Sprintf("owners and privileges were not restored, because user %s is not a superuser: it owns everything", quoted(s.target.Config.Username)))
	case len(missing) > 0 || len(roles) == 0:
		s.warnings = append(s.warnings, "owners and privileges were not restored, because the server lacks these roles of the backup: "+strings.Join(missing, ", "))
	default:
		s.keepOwners = true
	}
	return nil
}

// decideTablespaces gives up on tablespaces where one can not be used: a restore that stops at the first error would
// otherwise bring nothing back on another server.
func (s *staging) decideTablespaces(ctx context.Context, server *admin) error {
	tablespaces, err := listOf[string](s.stream, propTablespaces)
	if err != nil || len(tablespaces) == 0 {
		return err
	}
	unusable, err := server.unusableTablespaces(ctx, tablespaces)
	if err != nil || len(unusable) == 0 {
		return err
	}
	s.moveTables = true
	s.warnings = append(s.warnings, "everything is in the database's own tablespace, because the server lacks these of the backup, or the user may not use them: "+strings.Join(unusable, ", "))
	return nil
}

// prepareForTables makes what pg_dump leaves out when it is given tables: their schemas, and the
// extensions whose types and operators they may use.
func (s *staging) prepareForTables(ctx context.Context) error {
	schemas, err := listOf[string](s.stream, propSchemas)
	if err != nil {
		return err
	}
	extensions, err := listOf[extension](s.stream, propExtensions)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, s.target, s.names.staging)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	for _, schema := range schemas {
		if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+quoted(schema)); err != nil {
			return classify("create schema "+quoted(schema), err)
		}
	}
	for _, ext := range extensions {
		if _, err := conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS "+quoted(ext.Name)+" SCHEMA "+quoted(ext.Schema)); err != nil {
			s.warnings = append(s.warnings, fmt.Sprintf("extension %s was not created: %s", quoted(ext.Name), classify("", err)))
		}
	}
	return nil
}

// restore loads table by table, if the dump's structure is known and it says where its tables are;
// otherwise everything goes through pg_restore.
func (s *staging) restore(ctx context.Context, open engine.Opener) error {
	if s.stream.Format == DirectoryFormat {
		directory := directoryDump{streams: s.req.Streams, open: open, choose: s.chooseFrom}
		err := s.restoreByTable(ctx, directory.prepare)
		if errors.Is(err, errUnknownVersion) {
			if err := s.errNoChoice(); err != nil {
				return err
			}
			err = s.restoreFiles(ctx, directory.spool)
		}
		return err
	}
	blocks, known, err := readIndex(s.stream)
	if err != nil {
		return err
	}
	if known {
		custom := &customDump{stream: s.stream.Name, blocks: blocks, open: open, choose: s.chooseFrom}
		if err := s.restoreByTable(ctx, custom.prepare); !errors.Is(err, errUnknownVersion) {
			return err
		}
	}
	if err := s.errNoChoice(); err != nil {
		return err
	}
	if s.req.Jobs > 1 {
		s.warnings = append(s.warnings, fmt.Sprintf("it was loaded by 1 job instead of %d: the backup does not say where it holds which table", s.req.Jobs))
	}
	return s.restoreStream(ctx, open)
}

// restoreArgs are pg_restore's arguments but for the archive's.
func (s *staging) restoreArgs() []string {
	args := []string{"--exit-on-error", "--no-password", "--dbname=" + connInfo(s.names.staging)}
	if !s.keepOwners {
		args = append(args, "--no-owner", "--no-acl")
	}
	if s.moveTables {
		args = append(args, "--no-tablespaces")
	}
	return args
}

// restoreStream pushes a custom-format dump through one pg_restore.
func (s *staging) restoreStream(ctx context.Context, open engine.Opener) error {
	archive, err := open(ctx, s.stream.Name, 0)
	if err != nil {
		return failure.Wrap(failure.ClassOf(err), "open the backup", err, "")
	}
	defer archive.Close()
	env, err := newToolEnv(s.target, s.names.staging)
	if err != nil {
		return err
	}
	defer env.remove()
	checked := &walked{r: archive, w: newWalker()}
	defer checked.w.stop()
	stderr, err := process.Push(ctx, process.Command{
		Path: s.restorer.path, Args: append(s.restoreArgs(), "--format=custom"), Env: env.vars, Secrets: []string{s.target.Config.Password},
	}, checked)
	if err != nil {
		return classifyTool("load into database "+quoted(s.names.staging), err)
	}
	s.warnings = append(s.warnings, warnings(stderr)...)
	return nil
}

// finish counts what is there, gives a database that replaces none what the backup recorded, and
// sets the mark, which is last: Promote takes a staging with a mark only.
func (s *staging) finish(ctx context.Context) error {
	var err error
	if err = s.look(ctx); err != nil {
		return err
	}
	server, err := maintenance(ctx, s.target, s.names.target)
	if err != nil {
		return err
	}
	defer server.close()
	if oid, err := server.oid(ctx, s.names.staging); err != nil || oid != s.oid {
		return errors.Join(errSuperseded, err)
	}
	var existing *database
	if !s.req.Scratch {
		if existing, err = server.find(ctx, s.names.target); err != nil {
			return err
		}
	}
	if _, err := server.Exec(ctx, "ALTER DATABASE "+quoted(s.names.staging)+" RESET ALL"); err != nil {
		return classify("end the settings for loading", err)
	}
	if existing == nil {
		settings, err := listOf[setting](s.stream, propSettings)
		if err != nil {
			return err
		}
		owner := ""
		if s.keepOwners {
			owner = s.stream.Properties[propOwner]
		}
		s.warnings = append(s.warnings, server.applyRecorded(ctx, s.names.staging, settings, owner)...)
	}
	comment := withMark(s.stream.Properties[propComment], s.req.Token)
	_, err = server.Exec(ctx, "COMMENT ON DATABASE "+quoted(s.names.staging)+" IS "+literal(comment))
	return classify("mark database "+quoted(s.names.staging)+" as loaded", err)
}

// look counts the ordinary tables, partitions among them, that are not an extension's: what a dump holds TABLE DATA for. It warns of
// indexes that no query uses: the server tells nobody that the parts of an index were not put together.
func (s *staging) look(ctx context.Context) error {
	conn, err := connect(ctx, s.target, s.names.staging)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	err = conn.QueryRow(ctx, `select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
		where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema' and `+notOfExtension("pg_class", "c.oid")).Scan(&s.tables)
	if err != nil {
		return classify("count the restored tables", err)
	}
	invalid, err := invalidIndexes(ctx, conn)
	if len(invalid) > 0 {
		s.warnings = append(s.warnings, "these indexes of tables with partitions are not valid, and no query uses them: "+strings.Join(invalid, ", ")+
			". Unless they were not in the database that was backed up either, drop and create them again")
	}
	return err
}

var errSuperseded = failure.New(failure.Unknown, "finish the restore", "another attempt of it has taken the staging database over", "")

// remove drops the staging database after a failure, also when ctx has ended.
func (s *staging) remove(ctx context.Context) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	server, err := maintenance(ctx, s.target, s.names.target)
	if err == nil {
		defer server.close()
		var oid uint32
		if oid, err = server.oid(ctx, s.names.staging); err == nil && oid == s.oid {
			err = server.drop(ctx, s.names.staging)
		}
	}
	return failure.Wrap(failure.ClassOf(err), "remove what was loaded", err, "")
}
