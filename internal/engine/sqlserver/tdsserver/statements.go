package tdsserver

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// run does a statement; false cuts the connection.
func (s *session) run(ctx context.Context, statement string, params []any, out *tokens) bool {
	s.server.mu.Lock()
	s.server.statements = append(s.server.statements, statement)
	s.server.ranAs[statement] = s.user
	s.server.mu.Unlock()
	if fault := s.server.faultFor(statement, false); fault != nil {
		if alive, answered := s.suffer(ctx, fault, statement, out); answered || !alive {
			return alive
		}
	}
	s.server.mu.Lock()
	s.dispatch(statement, params, out)
	s.server.mu.Unlock()
	if fault := s.server.faultFor(statement, true); fault != nil {
		alive, _ := s.suffer(ctx, fault, statement, out)
		return alive
	}
	return true
}

func (s *session) suffer(ctx context.Context, fault *Fault, statement string, out *tokens) (alive, answered bool) {
	if fault.Reach != nil {
		fault.Reach(statement)
	}
	if fault.Do != nil {
		fault.Do()
	}
	if fault.Block != nil {
		select {
		case <-fault.Block:
		case <-ctx.Done():
			return true, true
		}
	}
	if len(fault.Errors) > 0 {
		out.Reset()
		out.errors(fault.Errors...)
		return !fault.Drop, true
	}
	return !fault.Drop, false
}

func terminated(what string) SQLError {
	return SQLError{3013, what + " is terminating abnormally."}
}

const (
	name = `\[((?:[^\]]|\]\])+)\]`
	text = `N'((?:[^']|'')*)'`
)

// pattern is a statement that the server knows.
type pattern struct {
	text *regexp.Regexp
	do   func(s *session, parts []string, params []any, out *tokens)
}

func known(text string, do func(s *session, parts []string, params []any, out *tokens)) pattern {
	return pattern{regexp.MustCompile(`(?s)^\s*` + text), do}
}

var patterns []pattern

func init() { //nolint:gochecknoinits // the table names functions that use it
	patterns = []pattern{
		known(`select 1;`, func(_ *session, _ []string, _ []any, out *tokens) {
			out.table([]Column{{"", BigInt}}, [][]any{{int64(1)}})
		}),
		known(`SET LOCK_TIMEOUT`, ok),
		known(`SELECT CONVERT\(nvarchar\(128\), SERVERPROPERTY\('ProductVersion'\)\)`, func(s *session, _ []string, _ []any, out *tokens) {
			out.table([]Column{{"", NVarChar}, {"", BigInt}}, [][]any{{s.server.options.Version, s.server.options.Edition}})
		}),
		known(`SELECT ISNULL\(CONVERT\(nvarchar\(4000\), SERVERPROPERTY\('InstanceDefaultDataPath'\)`, func(s *session, _ []string, _ []any, out *tokens) {
			out.table([]Column{{"", NVarChar}, {"", NVarChar}}, [][]any{{s.server.options.Directory, s.server.options.Directory}})
		}),
		known(`SELECT CONVERT\(int, @@SPID\)`, func(s *session, _ []string, _ []any, out *tokens) { single(out, int64(s.id)) }),
		known(`SELECT CONVERT\(int, CASE\s+WHEN DATABASEPROPERTYEX`, func(s *session, _ []string, _ []any, out *tokens) { single(out, s.mayWrite()) }),
		known(`EXECUTE AS USER = `+text+` WITH NO REVERT$`, becomeUser),
		known(`SELECT CONVERT\(int, ISNULL\(HAS_PERMS_BY_NAME`, func(s *session, _ []string, _ []any, out *tokens) {
			single(out, map[bool]int64{true: 1, false: 0}[s.server.options.MayCreate == nil || s.server.options.MayCreate()])
		}),
		known(`SELECT CONCAT\(CONVERT\(nvarchar\(256\), SERVERPROPERTY\('ServerName'\)`, func(s *session, _ []string, _ []any, out *tokens) {
			out.table([]Column{{"", NVarChar}}, [][]any{{fmt.Sprintf("server-%d/%s", s.server.Port(), s.database)}})
		}),
		known(`SELECT CONCAT\(percent_complete`, func(s *session, _ []string, _ []any, out *tokens) {
			rows := [][]any{}
			if s.server.options.Progress != nil {
				rows = append(rows, []any{s.server.options.Progress()})
			}
			out.table([]Column{{"", NVarChar}}, rows)
		}),
		known(`SELECT ISNULL\(SUM\(COALESCE\(CAST\(FILEPROPERTY`, func(_ *session, _ []string, _ []any, out *tokens) { single(out, 100) }),
		known(`SELECT COUNT\(\*\) FROM `+name+`\.sys\.(tables|objects) WHERE is_ms_shipped = 0`, countTables),
		known(`SELECT d\.name, d\.state_desc`, findDatabase),
		known(`SELECT name FROM sys\.databases`, listDatabases),
		known(`SELECT TOP \(@p1\) CONVERT\(bigint, o\.object_id\)`, listObjects),
		known(`SELECT TOP \(@p1\) CONVERT\(bigint, c\.object_id\)`, listColumns),
		known(`SELECT SCHEMA_NAME\(schema_id\) AS schema_name, name FROM sys\.tables`, listTables),
		known(`SELECT COUNT_BIG\(\*\) FROM \[dbo\]\.`+name, countRows),
		known(`SELECT OBJECT_SCHEMA_NAME\(parent_object_id\)`, listKeys),
		known(`DBCC CHECKCONSTRAINTS \(`+text+`\) WITH NO_INFOMSGS`, checkKey),
		known(`DBCC CHECKDB \(`+text+`\) WITH NO_INFOMSGS`, checkDatabase),
		known(`SELECT p\.name FROM `+name+`\.sys\.database_principals`, orphans),
		known(`SELECT differential_base_guid FROM sys\.master_files WHERE database_id = DB_ID\(`+text+`\)`, differentialBase),
		known(`SELECT CONVERT\(bigint, session_id\) AS id FROM sys\.dm_exec_sessions WHERE database_id = DB_ID\(`+text+`\)`, sessionsIn),
		known(`KILL (\d+)`, kill),
		known(`BACKUP DATABASE `+name+` TO DISK = `+text+` WITH (.*)`, backup),
		known(`RESTORE (HEADERONLY|FILELISTONLY|VERIFYONLY) FROM DISK = `+text, readBackup),
		known(`RESTORE DATABASE `+name+` FROM DISK = `+text+` WITH (.*)`, restore),
		known(`ALTER DATABASE `+name+` SET (SINGLE_USER|MULTI_USER|RESTRICTED_USER)`, setAccess),
		known(`ALTER DATABASE `+name+` MODIFY NAME = `+name, rename),
		known(`DROP DATABASE `+name, drop),
	}
}

func (s *session) dispatch(statement string, params []any, out *tokens) {
	if answer, canned := s.server.answers[statement]; canned {
		for _, info := range answer.Info {
			out.message(0xAB, 50000, 0, info)
		}
		out.table(answer.Columns, answer.Rows)
		return
	}
	for _, p := range patterns {
		if parts := p.text.FindStringSubmatch(statement); parts != nil {
			for i := range min(len(parts), 3) { // names and texts; the third is options, which have texts in them
				parts[i] = strings.NewReplacer("]]", "]", "''", "'").Replace(parts[i])
			}
			p.do(s, parts, params, out)
			return
		}
	}
	out.errors(SQLError{102, "Incorrect syntax near what tdsserver does not know: " + statement})
}

// mayWrite is whether whom the session runs as may write.
func (s *session) mayWrite() int64 {
	if s.user == Login && s.server.options.Writes || s.user != Login && s.server.options.ReaderWrites {
		return 1
	}
	return 0
}

// becomeUser makes the session one of the database's users, until it ends.
func becomeUser(s *session, parts []string, _ []any, out *tokens) {
	if !s.server.options.Reader || parts[1] != "dataguardian_reader" {
		out.errors(SQLError{15517, fmt.Sprintf("Cannot execute as the database principal because the principal \"%s\" does not exist, this type of principal cannot be impersonated, or you do not have permission.", parts[1])})
		return
	}
	s.user = parts[1]
	out.done(0, 0)
}

func ok(_ *session, _ []string, _ []any, out *tokens) { out.done(0, 0) }

func single(out *tokens, number int64) { out.table([]Column{{"", BigInt}}, [][]any{{number}}) }

func missing(database string) SQLError {
	return SQLError{911, fmt.Sprintf("Database '%s' does not exist. Make sure that the name is entered correctly.", database)}
}

// reach finds a database that a session may look into.
func (s *session) reach(database string, out *tokens) *Database {
	found := s.server.find(database)
	switch {
	case found == nil:
		out.errors(missing(database))
	case found.state == "RESTORING":
		out.errors(SQLError{927, fmt.Sprintf("Database '%s' cannot be opened. It is in the middle of a restore.", database)})
	case found.state != "ONLINE":
		out.errors(SQLError{942, fmt.Sprintf("Database '%s' cannot be opened because it is offline.", database)})
	case found.access == "SINGLE_USER" && found.owner != 0 && found.owner != s.id:
		out.errors(SQLError{924, fmt.Sprintf("Database '%s' is already open and can only have one user at a time.", database)})
	default:
		return found
	}
	return nil
}

func countTables(s *session, parts []string, _ []any, out *tokens) {
	if found := s.reach(parts[1], out); found != nil {
		single(out, int64(len(found.Tables)))
	}
}

func orphans(s *session, parts []string, _ []any, out *tokens) {
	if found := s.reach(parts[1], out); found != nil {
		rows := [][]any{}
		for _, user := range found.Users {
			rows = append(rows, []any{user})
		}
		out.table([]Column{{"name", NVarChar}}, rows)
	}
}

func findDatabase(s *session, _ []string, params []any, out *tokens) {
	rows := [][]any{}
	if found := s.server.find(params[0].(string)); found != nil {
		count := int64(0)
		for _, file := range found.files {
			if strings.Contains(file, params[1].(string)) {
				count++
			}
		}
		rows = append(rows, []any{found.name, found.state, found.access, count})
	}
	out.table([]Column{{"name", NVarChar}, {"state_desc", NVarChar}, {"user_access_desc", NVarChar}, {"", BigInt}}, rows)
}

func listDatabases(s *session, _ []string, _ []any, out *tokens) {
	rows := [][]any{}
	for _, database := range slices.Sorted(maps.Keys(s.server.databases)) {
		if state := s.server.databases[database].state; state != "OFFLINE" && state != "RESTORING" {
			rows = append(rows, []any{database})
		}
	}
	out.table([]Column{{"name", NVarChar}}, rows)
}

// tablesOf are the tables of the session's database, up to what TOP says, numbered by their order.
func tablesOf(s *session, params []any) (*Database, []string) {
	database := s.server.find(s.database)
	tables := slices.Sorted(maps.Keys(database.Tables))
	return database, tables[:min(len(tables), int(params[0].(int64)))]
}

func listObjects(s *session, _ []string, params []any, out *tokens) {
	rows := [][]any{}
	database, tables := tablesOf(s, params)
	for i, table := range tables {
		rows = append(rows, []any{int64(i), "dbo", table, "table", int64(len(database.Tables[table])), int64(8192)})
	}
	out.table([]Column{{"", BigInt}, {"", NVarChar}, {"name", NVarChar}, {"", NVarChar}, {"", BigInt}, {"", BigInt}}, rows)
}

func listColumns(s *session, _ []string, params []any, out *tokens) {
	rows := [][]any{}
	_, tables := tablesOf(s, params)
	for i := range tables {
		rows = append(rows, []any{int64(i), "row", "nvarchar(max)", true})
	}
	out.table([]Column{{"", BigInt}, {"name", NVarChar}, {"", NVarChar}, {"is_nullable", Bit}}, rows)
}

func differentialBase(s *session, parts []string, _ []any, out *tokens) {
	rows := [][]any{}
	if found := s.server.find(parts[1]); found != nil {
		rows = append(rows, []any{guid(found.base)})
	}
	out.table([]Column{{"differential_base_guid", GUID}}, rows)
}

// others are the sessions in a database.
func (s *session) others(database *Database) []*session {
	var found []*session
	for _, other := range s.server.sessions {
		if other.id != s.id && (strings.EqualFold(other.database, database.name) || database.owner == other.id) {
			found = append(found, other)
		}
	}
	return found
}

func sessionsIn(s *session, parts []string, _ []any, out *tokens) {
	rows := [][]any{}
	if found := s.server.find(parts[1]); found != nil {
		for _, other := range s.others(found) {
			rows = append(rows, []any{int64(other.id)})
		}
	}
	out.table([]Column{{"id", BigInt}}, rows)
}

func kill(s *session, parts []string, _ []any, out *tokens) {
	id, _ := strconv.Atoi(parts[1])
	s.server.end(id)
	out.done(0, 0)
}

func (s *Server) end(id int) {
	if one := s.sessions[id]; one != nil {
		one.end()
		delete(s.sessions, id)
	}
	for _, database := range s.databases {
		if database.owner == id {
			database.owner = 0
		}
	}
}

func inUse(database string) SQLError {
	return SQLError{5030, fmt.Sprintf("The database '%s' could not be exclusively locked to perform the operation.", database)}
}

func setAccess(s *session, parts []string, _ []any, out *tokens) {
	found := s.server.find(parts[1])
	switch {
	case found == nil:
		out.errors(missing(parts[1]))
	case found.state != "ONLINE":
		out.errors(SQLError{5052, "ALTER DATABASE is not permitted while a database is in the " + found.state + " state."})
	case found.access == "SINGLE_USER" && found.owner != 0 && found.owner != s.id:
		out.errors(SQLError{5064, fmt.Sprintf("Changes to the state or options of database '%s' cannot be made at this time. The database is in single-user mode, and a user is currently connected to it.", parts[1])})
	default:
		found.access, found.owner = parts[2], 0
		if parts[2] == "SINGLE_USER" {
			for _, other := range s.others(found) {
				s.server.end(other.id)
			}
			found.owner = s.id
		}
		out.done(0, 0)
	}
}

func rename(s *session, parts []string, _ []any, out *tokens) {
	found := s.server.find(parts[1])
	switch {
	case found == nil:
		out.errors(missing(parts[1]))
	case s.server.find(parts[2]) != nil:
		out.errors(SQLError{1801, fmt.Sprintf("Database '%s' already exists. Choose a different database name.", parts[2])})
	case len(s.others(found)) > 0:
		out.errors(inUse(parts[1]))
	default:
		delete(s.server.databases, found.name)
		found.name = parts[2]
		s.server.databases[found.name] = found
		out.done(0, 0)
	}
}

func drop(s *session, parts []string, _ []any, out *tokens) {
	found := s.server.find(parts[1])
	switch {
	case found == nil:
		out.errors(SQLError{3701, fmt.Sprintf("Cannot drop the database '%s', because it does not exist or you do not have permission.", parts[1])})
	case len(s.others(found)) > 0:
		out.errors(SQLError{3702, fmt.Sprintf("Cannot drop database \"%s\" because it is currently in use.", parts[1])})
	default:
		delete(s.server.databases, found.name)
		out.done(0, 0)
	}
}
