package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// listSettings are the settings whose value is a list of names, each quoted by itself; the server
// marks them GUC_LIST_QUOTE, and pg_dump keeps the same list.
var listSettings = []string{
	"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
}

// statement sets s on a database.
func (s setting) statement(database string) string {
	values := []string{s.Value}
	if slices.Contains(listSettings, strings.ToLower(s.Name)) {
		values = splitNames(s.Value)
	}
	for i, value := range values {
		values[i] = literal(value)
	}
	if len(values) == 0 {
		values = []string{"''"}
	}
	return fmt.Sprintf("%s SET %s TO %s", alterFor(s.Role, database), quoted(s.Name), strings.Join(values, ", "))
}

// describe names the setting without its value, which may be a secret of the application.
func (s setting) describe(database string) string {
	if s.Role == "" {
		return fmt.Sprintf("setting %s of database %s", quoted(s.Name), quoted(database))
	}
	return fmt.Sprintf("setting %s of role %s in database %s", quoted(s.Name), quoted(s.Role), quoted(database))
}

// classify is as the function of that name for an error of s's statement, without the server's
// text: it may quote the value. Only the SQLSTATE is kept of the answer.
func (s setting) classify(op string, err error) error {
	if state := sqlState(err); state != "" {
		err = &pgconn.PgError{Code: state, Message: "the server refused it"}
	}
	return classify(op, err)
}

// alterFor begins a statement about the settings of a database, for one role or for all ("").
func alterFor(role, database string) string {
	if role == "" {
		return "ALTER DATABASE " + quoted(database)
	}
	return "ALTER ROLE " + quoted(role) + " IN DATABASE " + quoted(database)
}

// splitNames takes a stored list of names apart: `"$user", public` is $user and public.
func splitNames(list string) []string {
	var names []string
	var name strings.Builder
	inQuotes, some := false, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"' && inQuotes && i+1 < len(list) && list[i+1] == '"':
			name.WriteByte('"')
			i++
		case c == '"':
			inQuotes, some = !inQuotes, true
		case inQuotes:
			name.WriteByte(c)
		case c == ',':
			names = append(names, name.String())
			name.Reset()
		case c != ' ' && c != '\t' && c != '\n':
			name.WriteByte(c)
			some = true
		}
	}
	if some {
		names = append(names, name.String())
	}
	return names
}

// applyRecorded gives a new database the settings and the owner that the backup recorded. What the
// user may not set, or the server does not have, becomes a warning: the data is all there.
func (a *admin) applyRecorded(ctx context.Context, database string, settings []setting, owner string) (warned []string) {
	for _, s := range settings {
		if _, err := a.Exec(ctx, s.statement(database)); err != nil {
			warned = append(warned, fmt.Sprintf("not restored: %s: %s", s.describe(database), s.classify("", err)))
		}
	}
	if owner != "" {
		statement := "ALTER DATABASE " + quoted(database) + " OWNER TO " + quoted(owner)
		if _, err := a.Exec(ctx, statement); err != nil {
			warned = append(warned, fmt.Sprintf("not restored: %s: %s", statement, classify("", err)))
		}
	}
	return warned
}

// carryOver makes the database that is now called target what the replaced one was to its users:
// settings, connection limit, privileges, owner. The owner is last, because the user may lose the
// right to do the rest with it.
func carryOver(ctx context.Context, tx pgx.Tx, target string, replaced *database, old string) error {
	if err := carrySettings(ctx, tx, target, old); err != nil {
		return err
	}
	var statements []string
	if replaced.Limit >= 0 {
		statements = append(statements, fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", quoted(target), replaced.Limit))
	}
	if replaced.HasACL {
		grants, err := readGrants(ctx, tx, target, old)
		if err != nil {
			return err
		}
		statements = append(statements, grants...)
	}
	var owner string
	if err := tx.QueryRow(ctx, "select pg_get_userbyid(datdba)::text from pg_database where datname = $1", target).Scan(&owner); err != nil {
		return classify("ask for the owner", err)
	}
	if owner != replaced.Owner {
		statements = append(statements, "ALTER DATABASE "+quoted(target)+" OWNER TO "+quoted(replaced.Owner))
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return classify(carryOp+" ("+statement+")", err)
		}
	}
	return nil
}

const carryOp = "carry over what the replaced database had"

// carrySettings replaces the settings of target by those of old.
func carrySettings(ctx context.Context, tx pgx.Tx, target, old string) error {
	resets, err := resetSettings(ctx, tx, target)
	if err != nil {
		return err
	}
	settings, err := readSettings(ctx, tx, old)
	if err != nil {
		return err
	}
	for _, reset := range resets {
		if _, err := tx.Exec(ctx, reset); err != nil {
			return classify(carryOp+" ("+reset+")", err)
		}
	}
	for _, s := range settings {
		if _, err := tx.Exec(ctx, s.statement(target)); err != nil {
			return s.classify(carryOp+" ("+s.describe(target)+")", err)
		}
	}
	return nil
}

// resetSettings takes away the settings that a database has.
func resetSettings(ctx context.Context, tx pgx.Tx, database string) ([]string, error) {
	settings, err := readSettings(ctx, tx, database)
	if err != nil {
		return nil, err
	}
	var statements []string
	for _, s := range settings {
		if reset := alterFor(s.Role, database) + " RESET ALL"; !slices.Contains(statements, reset) {
			statements = append(statements, reset)
		}
	}
	return statements, nil
}

// readGrants are the statements that give target the privileges that old has.
func readGrants(ctx context.Context, tx pgx.Tx, target, old string) ([]string, error) {
	rows, err := tx.Query(ctx, `select coalesce(r.rolname, '')::text, a.privilege_type, a.is_grantable
		from pg_database d cross join lateral aclexplode(d.datacl) a
		left join pg_roles r on r.oid = a.grantee
		where d.datname = $1 and (a.grantee = 0 or r.oid is not null)`, old)
	if err != nil {
		return nil, classify("read the privileges of the replaced database", err)
	}
	statements := []string{
		"REVOKE ALL ON DATABASE " + quoted(target) + " FROM PUBLIC",
		"REVOKE ALL ON DATABASE " + quoted(target) + " FROM CURRENT_USER",
	}
	grants, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var grantee, privilege string
		var grantable bool
		err := row.Scan(&grantee, &privilege, &grantable)
		to := "PUBLIC"
		if grantee != "" {
			to = quoted(grantee)
		}
		statement := "GRANT " + privilege + " ON DATABASE " + quoted(target) + " TO " + to
		if grantable {
			statement += " WITH GRANT OPTION"
		}
		return statement, err
	})
	return append(statements, grants...), classify("read the privileges of the replaced database", err)
}
