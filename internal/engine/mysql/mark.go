package mysql

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// markTable is the table in a staging database that says what is to be done with it. It goes into the
// target with the other tables, in the same RENAME TABLE: where it is tells on which side of it a
// restore is. A row has a kind:
//   - attempt: the name is the attempt that loads; another one has taken over when it is a different one
//   - the kinds of program: what has to be made again in the target
//   - old and a kind of program: what the target had; its triggers are dropped so that their tables can be moved
//   - loaded: the name is the restore's token; everything is loaded
const markTable = "dataguardian_restore"

const (
	kindAttempt = "attempt"
	kindLoaded  = "loaded"
)

// makeMark makes the table in the staging database.
func (s *session) makeMark(ctx context.Context, staging, attempt string) error {
	err := s.exec(ctx, "CREATE TABLE "+named(staging, markTable)+` (step bigint PRIMARY KEY AUTO_INCREMENT, kind varchar(32) NOT NULL,
		name varchar(512) NOT NULL, statement longblob, sql_mode text, client varchar(64), collation_connection varchar(64),
		time_zone varchar(64), database_collation varchar(64)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
	if err != nil {
		return err
	}
	return s.mark(ctx, staging, program{kind: kindAttempt, name: attempt})
}

func (s *session) mark(ctx context.Context, database string, p program) error {
	into := "INSERT INTO " + named(database, markTable)
	_, err := s.conn.ExecContext(ctx, into+` (kind, name, statement, sql_mode, client, collation_connection,
		time_zone, database_collation) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		p.kind, p.name, []byte(p.statement), p.sqlMode, p.client, p.connection, p.zone, p.database)
	return err
}

// hasMarkTable reports whether a database has the table.
func (s *session) hasMarkTable(ctx context.Context, database string) (bool, error) {
	count, err := queryOne[int](ctx, s, "select count(*) from information_schema.tables where table_schema = ? and table_name = ?", database, markTable)
	return count > 0, classify("look into database "+quoted(database), err)
}

// isMarked reports whether a database has the table, with a row of this kind and name.
func (s *session) isMarked(ctx context.Context, database, kind, name string) (bool, error) {
	has, err := s.hasMarkTable(ctx, database)
	if err != nil || !has {
		return false, err
	}
	count, err := queryOne[int](ctx, s, "select count(*) from "+named(database, markTable)+" where kind = ? and name = ?", kind, name)
	return count > 0, classify("read the mark of database "+quoted(database), err)
}

// isResult reports whether the target holds what this restore loaded: by its mark table, or, when
// everything is done, by the database's comment where the server has those.
func (s *session) isResult(ctx context.Context, names restoreNames) (bool, error) {
	if marked, err := s.isMarked(ctx, names.target, kindLoaded, names.token); err != nil || marked {
		return marked, err
	}
	comment, err := s.comment(ctx, names.target)
	return hasMark(comment, names.token), err
}

// hasComments reports whether databases have comments.
func (s *session) hasComments() bool { return s.version.mariadb && s.version.atLeast(10, 5) }

// comment is that of a database; one that is not there has none.
func (s *session) comment(ctx context.Context, database string) (string, error) {
	if !s.hasComments() {
		return "", nil
	}
	comments, err := s.queryColumn(ctx, "select schema_comment from information_schema.schemata where schema_name = ?", database)
	if err != nil || len(comments) == 0 {
		return "", classify("read the comment of database "+quoted(database), err)
	}
	return comments[0], nil
}

const markFormat = "Restored by DataGuardian (restore %s)"

var markPattern = regexp.MustCompile(`(?:^|\n)Restored by DataGuardian \(restore [0-9a-z]+\)$`)

func withMark(comment, token string) string {
	mark := fmt.Sprintf(markFormat, token)
	if comment = markPattern.ReplaceAllString(comment, ""); comment != "" {
		return comment + "\n" + mark
	}
	return mark
}

func hasMark(comment, token string) bool {
	return strings.HasSuffix(comment, fmt.Sprintf(markFormat, token))
}
