package sqlserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Stage writes the streams into the shared directory, lets the server verify their checksums, and restores
// them into the staging database, whose files lie in the server's default directories. The staging can be
// opened only when everything is restored: that is how Promote knows. On any error, and when ctx ends,
// it is dropped again; the files in the shared directory are removed always.
func (e *Engine) Stage(ctx context.Context, target engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	names, err := namesOf(req)
	if err != nil {
		return engine.StageReport{}, err
	}
	if err := refuseTables(req); err != nil {
		return engine.StageReport{}, err
	}
	backup, err := setsOf(req.Streams)
	if err != nil {
		return engine.StageReport{}, err
	}
	dir, err := e.openDirectory(target.Config)
	if err != nil {
		return engine.StageReport{}, err
	}
	defer dir.close()
	dir.removeLeftovers(time.Now())
	s := &staging{target: target, names: names, backup: backup, dir: dir, tell: req.Tell, private: req.Private, attempt: strings.ToLower(rand.Text()[:attemptLetters])}
	defer s.removeFiles(ctx)
	if err := s.load(ctx, open); err != nil {
		return engine.StageReport{}, errors.Join(err, s.remove(ctx))
	}
	s.removeFiles(ctx)
	return engine.StageReport{Staging: names.staging, Tables: s.tables, Warnings: s.warnings}, nil
}

// attemptLetters tell two attempts of one restore apart.
const attemptLetters = 8

// staging is one run of Stage.
type staging struct {
	// attempt is in the names of the database's files. A lost attempt may wake up while a later one restores
	// under the same name: it must neither drop that one's database nor restore into it.
	attempt string

	target   engine.Source
	names    restoreNames
	backup   sets
	dir      *directory
	tell     engine.Teller
	private  bool     // others are kept out until Promote
	files    []string // in the shared directory
	tables   int
	warnings []string
}

func (s *staging) load(ctx context.Context, open engine.Opener) error {
	if err := s.drop(ctx, false); err != nil {
		return err
	}
	for _, stream := range s.backup.inOrder() {
		if err := s.copyOut(ctx, stream, open); err != nil {
			return err
		}
	}
	// A new connection: copying may have taken hours.
	server, err := maintenance(ctx, s.target)
	if err != nil {
		return err
	}
	defer server.close()
	return s.restoreAll(ctx, server)
}

// restoreAll verifies every file before anything is made, and restores them in order.
func (s *staging) restoreAll(ctx context.Context, server *admin) error {
	places, err := server.defaultDirectories(ctx)
	if err != nil {
		return err
	}
	contents := make([][]databaseFile, len(s.files))
	for i, name := range s.files {
		path := s.dir.onServer(name)
		if contents[i], err = server.listFiles(ctx, path); err != nil {
			return err
		}
		// With MOVE, so that the directories of the backup's server are not looked for.
		options := append(s.moves(contents[i], places), "CHECKSUM")
		if err := server.execute(ctx, "verify the backup in "+path, "RESTORE VERIFYONLY FROM DISK = "+literal(path)+" WITH "+strings.Join(options, ", ")); err != nil {
			return err
		}
	}
	placed := map[int64]bool{}
	for i, name := range s.files {
		// A differential has a place only for the files that are newer than the full.
		added := slices.DeleteFunc(contents[i], func(f databaseFile) bool { return placed[f.number] })
		for _, file := range added {
			placed[file.number] = true
		}
		if err := s.restore(ctx, server, name, s.moves(added, places), i == 0, i == len(s.files)-1); err != nil {
			return err
		}
	}
	return s.finish(ctx, server)
}

// fileMark is in the names of the files that this attempt makes.
func (s *staging) fileMark() string { return s.names.fileMark() + s.attempt + "_" }

var errSuperseded = failure.New(failure.Unknown, "go on with the restore", "another attempt of it has taken the staging database over", "")

// owns refuses to go on with a staging database of another attempt; there is none before the first set is restored.
func (s *staging) owns(ctx context.Context, server *admin, begun bool) error {
	found, err := server.findMarked(ctx, s.names.staging, s.fileMark())
	switch {
	case err != nil:
		return err
	case (found != nil) != begun, found != nil && !found.ours:
		return errSuperseded
	}
	return nil
}

// drop drops what an earlier attempt left or, after a failure, what this one made and no later one has taken over.
func (s *staging) drop(ctx context.Context, own bool) error {
	server, err := maintenance(ctx, s.target)
	if err != nil {
		return err
	}
	defer server.close()
	if own {
		found, err := server.findMarked(ctx, s.names.staging, s.fileMark())
		if err != nil || found == nil || !found.ours {
			return err
		}
	}
	return server.drop(ctx, s.names.staging, s.names)
}

// copyOut writes a stream into the shared directory.
func (s *staging) copyOut(ctx context.Context, stream engine.Stream, open engine.Opener) error {
	r, err := open(ctx, stream.Name, 0)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	size, err := sizeOf(stream)
	if err != nil {
		return err
	}
	name := s.dir.newName()
	s.files = append(s.files, name)
	_, err = s.dir.write(name, &checked{ctx: ctx, r: r, left: size})
	return err
}

// restore restores one backup set. The last one is recovered; the database can then be opened.
func (s *staging) restore(ctx context.Context, server *admin, name string, options []string, first, last bool) error {
	path := s.dir.onServer(name)
	if err := s.owns(ctx, server, !first); err != nil {
		return err
	}
	state := "NORECOVERY"
	if last {
		state = "RECOVERY"
		if s.private { // from the first moment at which it can be opened
			state += ", " + restricted
		}
	}
	options = append(options, state, "CHECKSUM", "STATS = 5")
	return server.watched(ctx, "restore "+path+" into database "+quoted(s.names.staging),
		"RESTORE DATABASE "+quoted(s.names.staging)+" FROM DISK = "+literal(path)+" WITH "+strings.Join(options, ", "), watch{tell: s.tell})
}

// places are the directories for the files of new databases.
type places struct{ data, log string }

// moves say where each file goes.
func (s *staging) moves(files []databaseFile, to places) []string {
	moves := make([]string, 0, len(files))
	for _, file := range files {
		directory, extension := to.data, ".ndf"
		switch {
		case file.kind == "L":
			directory, extension = to.log, ".ldf"
		case file.kind != "D": // a directory
			extension = ""
		case file.number == 1:
			extension = ".mdf"
		}
		path := join(directory, fmt.Sprintf("%s%s_%d%s", s.names.fileBase(), s.attempt, file.number, extension))
		moves = append(moves, "MOVE "+literal(file.logical)+" TO "+literal(path))
	}
	return moves
}

// finish looks at what was restored.
func (s *staging) finish(ctx context.Context, server *admin) error {
	if err := s.owns(ctx, server, true); err != nil {
		return err
	}
	found, err := server.find(ctx, s.names.staging, s.names)
	if err != nil {
		return err
	}
	op := "check database " + quoted(s.names.staging)
	if found == nil || found.state != stateOnline || !found.ours {
		return failure.New(failure.Unknown, op, "it is not there, or can not be opened, after it was restored", "Look at the server's error log.")
	}
	access := multiUser
	if s.private {
		access = restricted
	}
	if found.access != access { // as the database was when the backup was made
		if err := server.setAccess(ctx, s.names.staging, access); err != nil {
			return err
		}
	}
	if s.tables, err = server.countTables(ctx, s.names.staging); err != nil {
		return err
	}
	orphans, err := server.table(ctx, op, "SELECT p.name FROM "+quoted(s.names.staging)+`.sys.database_principals AS p
		WHERE p.type IN ('S', 'U', 'G') AND p.authentication_type IN (1, 3) AND p.principal_id > 4
			AND NOT EXISTS (SELECT 1 FROM sys.server_principals AS l WHERE l.sid = p.sid) ORDER BY p.name`)
	if err != nil {
		return err
	}
	if len(orphans) > 0 {
		users := make([]string, 0, len(orphans))
		for _, row := range orphans {
			users = append(users, quoted(row.text("name")))
		}
		s.warnings = append(s.warnings, "these users of the database have no login on this server: "+strings.Join(users, ", ")+
			"; make the logins, and run ALTER USER … WITH LOGIN = …")
	}
	return nil
}

// defaultDirectories are where the server puts the files of new databases.
func (a *admin) defaultDirectories(ctx context.Context) (to places, err error) {
	const op = "ask for the server's default directories"
	err = a.QueryRowContext(ctx, `SELECT ISNULL(CONVERT(nvarchar(4000), SERVERPROPERTY('InstanceDefaultDataPath')), N''),
		ISNULL(CONVERT(nvarchar(4000), SERVERPROPERTY('InstanceDefaultLogPath')), N'')`).Scan(&to.data, &to.log)
	if err != nil {
		return to, classify(op, err)
	}
	if to.data == "" || to.log == "" {
		return to, failure.New(failure.Unsupported, op, "it tells none", "SQL Server 2012 or later is needed.")
	}
	return to, nil
}

// removeFiles removes the files from the shared directory.
func (s *staging) removeFiles(ctx context.Context) {
	for _, name := range s.files {
		if warning := s.dir.remove(ctx, name); warning != "" {
			s.warnings = append(s.warnings, warning)
		}
	}
	s.files = nil
}

// remove drops the staging database after a failure, also when ctx has ended.
func (s *staging) remove(ctx context.Context) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	err := s.drop(ctx, true)
	return failure.Wrap(failure.ClassOf(err), "remove what was restored", err, "")
}
