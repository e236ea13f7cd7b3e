package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// header is what the server reads in a backup file (RESTORE HEADERONLY).
type header struct {
	kind     int64 // one of the kinds
	set      string
	base     string // of a differential: its full's set
	bytes    int64
	database string
	checksum bool
	copyOnly bool
}

// The kinds of backup sets.
const (
	kindFull         = 1
	kindDifferential = 5
)

// readHeader lets the server read the backup set of a file. Others in it, and one that was cut off
// (RESTORE HEADERONLY gives it no set), are failure.Corrupt.
func (s *session) readHeader(ctx context.Context, path string) (header, error) {
	op := "read the header of the backup in " + path
	rows, err := s.table(ctx, op, "RESTORE HEADERONLY FROM DISK = "+literal(path))
	if err != nil {
		return header{}, err
	}
	if len(rows) != 1 {
		return header{}, failure.New(failure.Corrupt, op, fmt.Sprintf("it holds %d backup sets instead of one", len(rows)), hintDamaged)
	}
	row := rows[0]
	size := row.text("CompressedBackupSize") // of the set as it is in the file; that without compression is as large
	if size == "" {
		size = row.text("BackupSize")
	}
	bytes, err := strconv.ParseFloat(size, 64)
	if err != nil {
		return header{}, failure.Wrap(failure.Unsupported, op, err, "")
	}
	return header{
		kind: row.number("BackupType"), set: row.text("BackupSetGUID"), base: row.text("DifferentialBaseGUID"), bytes: int64(bytes),
		database: row.text("DatabaseName"), checksum: row.number("HasBackupChecksums") == 1, copyOnly: row.number("IsCopyOnly") == 1,
	}, nil
}

// check compares a header with what was asked for.
func (h header) check(kind int64, database string, copyOnly bool) error {
	const op = "check what the server wrote"
	wrong := func(what string) error {
		return failure.New(failure.Corrupt, op, what, "Check that nothing else writes into backup_directory.")
	}
	switch {
	case h.kind != kind:
		return wrong(fmt.Sprintf("the backup is of type %d, not %d", h.kind, kind))
	case !strings.EqualFold(h.database, database):
		return wrong(fmt.Sprintf("the backup is of database %q, not %q", h.database, database))
	case !h.checksum:
		return wrong("the backup has no checksums")
	case h.set == "":
		return wrong("the backup set has no identity")
	case kind == kindFull && h.copyOnly != copyOnly:
		return wrong("the backup is not of the kind (COPY_ONLY) that was asked for")
	}
	return nil
}

// databaseFile is a file of a database in a backup (RESTORE FILELISTONLY).
type databaseFile struct {
	logical string
	kind    string // D data, L log, S filestream or memory-optimized, F full-text
	number  int64
}

func (s *session) listFiles(ctx context.Context, path string) ([]databaseFile, error) {
	op := "list the files in the backup in " + path
	rows, err := s.table(ctx, op, "RESTORE FILELISTONLY FROM DISK = "+literal(path))
	if err != nil {
		return nil, err
	}
	files := make([]databaseFile, 0, len(rows))
	for _, row := range rows {
		files = append(files, databaseFile{logical: row.text("LogicalName"), kind: row.text("Type"), number: row.number("FileId")})
	}
	if len(files) == 0 {
		return nil, failure.New(failure.Corrupt, op, "it has none", hintDamaged)
	}
	return files, nil
}

// record is a row by the names of its columns, of which versions of the server have different ones.
type record map[string]any

// text is a value as text; "" for NULL or a column that is not there.
func (r record) text(column string) string {
	switch v := r[column].(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

// number is a whole number or a bit; 0 for anything else.
func (r record) number(column string) int64 {
	switch v := r[column].(type) {
	case int64:
		return v
	case bool:
		if v {
			return 1
		}
	}
	return 0
}

// table reads a small result set.
func (s *session) table(ctx context.Context, op, statement string) ([]record, error) {
	rows, err := s.QueryContext(ctx, statement)
	if err != nil {
		return nil, classify(op, err)
	}
	defer func() { _ = rows.Close() }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, classify(op, err)
	}
	var found []record
	for rows.Next() {
		row, err := scan(rows, types)
		if err != nil {
			return nil, classify(op, err)
		}
		found = append(found, row)
	}
	return found, classify(op, rows.Err())
}

func scan(rows *sql.Rows, types []*sql.ColumnType) (record, error) {
	values, targets := make([]any, len(types)), make([]any, len(types))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, err
	}
	row := record{}
	for i, column := range types {
		row[column.Name()] = readable(values[i], column.DatabaseTypeName())
	}
	return row, nil
}

// readable turns a GUID, which the driver gives as 16 bytes, into its text.
func readable(value any, kind string) any {
	if b, ok := value.([]byte); ok && kind == "UNIQUEIDENTIFIER" {
		var id mssql.UniqueIdentifier
		if err := id.Scan(b); err == nil {
			return id.String()
		}
	}
	return value
}
