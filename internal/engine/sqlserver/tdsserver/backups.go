package tdsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

func cannotOpen(path string, err error) SQLError {
	return SQLError{3201, fmt.Sprintf("Cannot open backup device '%s'. Operating system error 2(%s).", path, err)}
}

func backup(s *session, parts []string, _ []any, out *tokens) {
	const what = "BACKUP DATABASE"
	found := s.server.find(parts[1])
	if found == nil {
		out.errors(missing(parts[1]), terminated(what))
		return
	}
	options := strings.Split(parts[3], ", ")
	differential, copyOnly := slices.Contains(options, "DIFFERENTIAL"), slices.Contains(options, "COPY_ONLY")
	compressed := slices.Contains(options, "COMPRESSION")
	if compressed && s.server.options.Express {
		out.errors(SQLError{1844, "BACKUP DATABASE WITH COMPRESSION is not supported on Express Edition (64-bit)."}, terminated(what))
		return
	}
	for _, wanted := range []string{"CHECKSUM", "FORMAT", "INIT", "STATS = 5"} {
		if !slices.Contains(options, wanted) || (differential && copyOnly) || compressed == slices.Contains(options, "NO_COMPRESSION") {
			out.errors(SQLError{155, "'" + parts[3] + "' is not a set of options that the test wants."})
			return
		}
	}
	made, refused := s.server.makeSet(found, differential, copyOnly)
	if len(refused) > 0 {
		out.errors(refused...)
		return
	}
	if err := made.write(parts[2], compressed); err != nil {
		out.errors(cannotOpen(parts[2], err), terminated(what))
		return
	}
	found.taken(made)
	for percent := 5; percent <= 100; percent += 5 {
		out.message(0xAB, 3211, 10, fmt.Sprintf("%d percent processed.", percent))
	}
	out.message(0xAB, 3014, 0, what+" successfully processed 1 pages.")
	out.done(0, 0)
}

// load reads a backup file, or answers why not.
func load(path, what string, out *tokens) (set, int64, bool) {
	made, bytes, err := readSet(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		out.errors(cannotOpen(path, err), terminated(what))
	case err != nil:
		out.errors(SQLError{3241, fmt.Sprintf("The media family on device '%s' is incorrectly formed. SQL Server cannot process this media family.", path)}, terminated(what))
	}
	return made, bytes, err == nil
}

func readBackup(_ *session, parts []string, _ []any, out *tokens) {
	made, bytes, ok := load(parts[2], parts[1], out)
	if !ok {
		return
	}
	switch parts[1] {
	case "HEADERONLY":
		out.table([]Column{
			{"BackupName", NVarChar}, {"BackupType", BigInt}, {"DatabaseName", NVarChar}, {"BackupSize", Numeric}, {"CompressedBackupSize", BigInt}, {"HasBackupChecksums", Bit},
			{"IsCopyOnly", Bit}, {"BackupSetGUID", GUID}, {"DifferentialBaseGUID", GUID},
		}, [][]any{{"DataGuardian", made.Kind, made.Database, 10 * bytes, bytes, true, made.CopyOnly, guid(made.ID), guid(made.Base)}})
	case "FILELISTONLY":
		out.table([]Column{{"LogicalName", NVarChar}, {"PhysicalName", NVarChar}, {"Type", NVarChar}, {"FileId", BigInt}}, [][]any{
			{made.Database, "/old/place.mdf", "D", int64(1)}, {made.Database + "_log", "/old/place.ldf", "L", int64(2)},
		})
	default:
		out.message(0xAB, 3262, 0, "The backup set on file 1 is valid.")
		out.done(0, 0)
	}
}

var moves = regexp.MustCompile(`MOVE ` + text + ` TO ` + text)

func restore(s *session, parts []string, _ []any, out *tokens) {
	const what = "RESTORE DATABASE"
	made, _, ok := load(parts[2], what, out)
	if !ok {
		return
	}
	found := s.server.find(parts[1])
	if made.Kind == 5 {
		if found == nil || found.state != "RESTORING" || found.loaded != made.Base {
			out.errors(SQLError{3136, "This differential backup cannot be restored because the database has not been restored to the correct earlier state."}, terminated(what))
			return
		}
	} else {
		found = &Database{name: parts[1], access: made.Access, Tables: map[string][]string{}, loaded: made.ID}
		for _, move := range moves.FindAllStringSubmatch(parts[3], -1) {
			found.files = append(found.files, move[2])
		}
		if len(found.files) != made.Files {
			out.errors(SQLError{3156, "File cannot be restored to its old place. Use WITH MOVE."}, terminated(what))
			return
		}
		s.server.databases[found.name] = found
	}
	for name := range found.Tables {
		if !slices.Contains(made.Names, name) {
			delete(found.Tables, name)
		}
	}
	for name, rows := range made.Tables {
		found.Tables[name] = rows
	}
	found.Users, found.Keys, found.Damaged = made.Users, made.Keys, made.Damaged
	found.state = "ONLINE"
	if strings.Contains(parts[3], "RESTRICTED_USER") {
		found.access = "RESTRICTED_USER"
	}
	if strings.Contains(parts[3], "NORECOVERY") {
		found.state = "RESTORING"
	}
	out.message(0xAB, 3014, 0, what+" successfully processed 1 pages.")
	out.done(0, 0)
}
