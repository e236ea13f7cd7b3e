package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The properties of a stream. All are text; the lists are JSON arrays. Owner, settings and comment
// are given to a restored database that replaces none.
const (
	propDatabase       = "database"        // name it was dumped from
	propServerVersion  = "server_version"  // "15.18"
	propToolVersion    = "tool_version"    // of pg_dump
	propEncoding       = "encoding"        // "UTF8"
	propCollate        = "lc_collate"      //
	propCtype          = "lc_ctype"        //
	propLocaleProvider = "locale_provider" // libc, icu or builtin; absent before PostgreSQL 15
	propLocale         = "locale"          // ICU's or the builtin provider's; absent for libc
	propICURules       = "icu_rules"       //
	propOwner          = "owner"           //
	propComment        = "comment"         //
	propSettings       = "settings"        // [{role, name, value}] of pg_db_role_setting
	propExtensions     = "extensions"      // [{name, schema, version}]
	propSchemas        = "schemas"         // names, without the system's
	propRoles          = "roles"           // owners and grantees in the dump
	propTablespaces    = "tablespaces"     // where tables and indexes are, but for the database's own
	propBlocks         = "blocks"          // where a custom-format dump holds what; see writeIndex
	propFiles          = "files"           // one a line: what toc.dat names, or what a bundle holds
	propPartial        = "partial"         // "true": only the tables of include_tables
)

// setting is one row's element of pg_db_role_setting. Role "" is every role.
type setting struct {
	Role  string `json:"role,omitempty"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

type extension struct {
	Name    string `json:"name"`
	Schema  string `json:"schema"`
	Version string `json:"version"`
}

// catalogRow is a row of pg_database as JSON: the columns differ by version, and one that is not
// there stays empty.
type catalogRow struct {
	LocaleProvider string `json:"datlocprovider"`
	Collate        string `json:"datcollate"`
	Ctype          string `json:"datctype"`
	ICULocale      string `json:"daticulocale"` // 15 and 16
	Locale         string `json:"datlocale"`    // 17 and later
	ICURules       string `json:"daticurules"`
}

var localeProviders = map[string]string{"c": "libc", "i": "icu", "b": "builtin"}

// readProperties describes the database that conn is connected to.
func readProperties(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	const op = "read the properties of the database"
	var name, encoding, owner, comment, row string
	err := conn.QueryRow(ctx, `select datname::text, pg_encoding_to_char(encoding)::text, pg_get_userbyid(datdba)::text,
			coalesce(shobj_description(oid, 'pg_database'), ''), to_jsonb(d)::text
		from pg_database d where datname = current_database()`).Scan(&name, &encoding, &owner, &comment, &row)
	if err != nil {
		return nil, classify(op, err)
	}
	var catalog catalogRow
	if err := json.Unmarshal([]byte(row), &catalog); err != nil {
		return nil, failure.Wrap(failure.Unsupported, op, err, "")
	}
	props := map[string]string{
		propDatabase: name, propEncoding: encoding, propOwner: owner, propComment: withoutMark(comment),
		propCollate: catalog.Collate, propCtype: catalog.Ctype,
		propLocaleProvider: localeProviders[catalog.LocaleProvider], propLocale: catalog.ICULocale + catalog.Locale,
		propICURules: catalog.ICURules,
	}
	settings, err := readSettings(ctx, conn, name)
	if err != nil {
		return nil, err
	}
	lists := map[string]any{propSettings: settings}
	for key, read := range map[string]func(context.Context, *pgx.Conn) (any, error){
		propExtensions: readExtensions, propSchemas: readSchemas, propRoles: readRoles, propTablespaces: readTablespaces,
	} {
		if lists[key], err = read(ctx, conn); err != nil {
			return nil, classify(fmt.Sprintf("%s (%s)", op, key), err)
		}
	}
	for key, list := range lists {
		text, err := json.Marshal(list)
		if err != nil {
			return nil, failure.Wrap(failure.Unknown, op, err, "")
		}
		if string(text) != "null" {
			props[key] = string(text)
		}
	}
	for key, value := range props {
		if value == "" {
			delete(props, key)
		}
	}
	return props, nil
}

// readSettings lists what ALTER DATABASE SET and ALTER ROLE IN DATABASE SET left on a database.
func readSettings(ctx context.Context, conn pgxQuerier, database string) ([]setting, error) {
	rows, err := conn.Query(ctx, `select coalesce(r.rolname, '')::text, c.entry
		from pg_db_role_setting s
		join pg_database d on d.oid = s.setdatabase
		left join pg_roles r on r.oid = s.setrole
		cross join lateral unnest(s.setconfig) with ordinality c(entry, n)
		where d.datname = $1 order by 1, c.n`, database)
	if err != nil {
		return nil, classify("read the settings of the database", err)
	}
	settings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (setting, error) {
		var s setting
		var entry string
		err := row.Scan(&s.Role, &entry)
		s.Name, s.Value, _ = strings.Cut(entry, "=")
		return s, err
	})
	return settings, classify("read the settings of the database", err)
}

func readExtensions(ctx context.Context, conn *pgx.Conn) (any, error) {
	rows, err := conn.Query(ctx, `select extname::text, nspname::text, extversion from pg_extension e
		join pg_namespace n on n.oid = e.extnamespace order by e.oid`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[extension])
}

func readSchemas(ctx context.Context, conn *pgx.Conn) (any, error) {
	return names(ctx, conn, `select nspname::text from pg_namespace
		where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`)
}

// readRoles lists the roles that own or may use something in the database. The bootstrap superuser
// leaves no trace in pg_shdepend, so owners are asked for as well.
func readRoles(ctx context.Context, conn *pgx.Conn) (any, error) {
	return names(ctx, conn, `select distinct pg_get_userbyid(id)::text from (
			select refobjid as id from pg_shdepend
			where refclassid = 'pg_authid'::regclass and dbid = (select oid from pg_database where datname = current_database())
			union all select relowner from pg_class where oid >= 16384
			union all select nspowner from pg_namespace where oid >= 16384
			union all select proowner from pg_proc where oid >= 16384
			union all select typowner from pg_type where oid >= 16384
		) owners order by 1`)
}

func readTablespaces(ctx context.Context, conn *pgx.Conn) (any, error) {
	return names(ctx, conn, `select distinct spcname::text from pg_class c join pg_tablespace t on t.oid = reltablespace where not relisshared order by 1`)
}

// names runs a query of one text column.
func names(ctx context.Context, conn pgxQuerier, sql string, args ...any) ([]string, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// listOf decodes a list property; one that is absent is empty.
func listOf[T any](s engine.Stream, key string) ([]T, error) {
	text := s.Properties[key]
	if text == "" {
		return nil, nil
	}
	var list []T
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, failure.Wrap(failure.Corrupt, "read property "+key+" of the backup", err, "")
	}
	return list, nil
}
