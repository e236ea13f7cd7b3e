package db

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// A list of who is limited to some resources reads the rows of those, and does not pass over the rows of all others: who sees one
// of a thousand datasources would pass over a thousand rows for each that is shown. The resources that lead to all that a scope
// shows are its leads. A scope that only takes away has none: most of what its holder passes over is shown.

// leadKinds are the kinds in the order in which they are looked for in a way in: rows have indexes by each.
var leadKinds = []domain.ScopeKind{domain.ScopeDatasource, domain.ScopeBackupJob, domain.ScopeStorageLocation}

// scopeColumns are the columns of a table that name the resources its rows belong to.
type scopeColumns map[domain.ScopeKind]string

// executionColumns are those of backup_executions.
var executionColumns = scopeColumns{
	domain.ScopeDatasource: "datasource_id", domain.ScopeStorageLocation: "storage_location_id", domain.ScopeBackupJob: "job_id",
}

// of are the columns of a table by its name in a statement.
func (c scopeColumns) of(table string) scopeColumns {
	named := make(scopeColumns, len(c))
	for kind, column := range c {
		named[kind] = table + "." + column
	}
	return named
}

// leads are, by kind, the ids one of which each row has that the scope shows; nil where there is no such set. alone says that
// whatever has one of them is shown.
func (d *scopeDocument) leads() (ids map[domain.ScopeKind][]string, alone bool) {
	if d == nil || d.Any == nil {
		return nil, false
	}
	found := make(map[domain.ScopeKind]map[string]bool)
	alone = true
	for _, way := range d.Any {
		kind := slices.IndexFunc(leadKinds, func(kind domain.ScopeKind) bool { return way[kind] != nil })
		if kind < 0 {
			return nil, false // it limits nothing
		}
		lead := leadKinds[kind]
		if found[lead] == nil {
			found[lead] = make(map[string]bool)
		}
		maps.Copy(found[lead], way[lead])
		alone = alone && len(way) == 1
	}
	ids = make(map[domain.ScopeKind][]string, len(found))
	for kind, set := range found {
		maps.DeleteFunc(set, func(id string, _ bool) bool { return d.Deny[kind][id] })
		ids[kind] = idsIn(set)
	}
	for kind := range d.Deny {
		alone = alone && len(found) == 1 && found[kind] != nil
	}
	return ids, alone
}

// limited are the ids of a kind one of which each row must have, nil where rows with others, or without any, may be shown.
func (d *scopeDocument) limited(kind domain.ScopeKind) []string {
	if d == nil || d.Any == nil {
		return nil
	}
	ids := make(map[string]bool)
	for _, way := range d.Any {
		if way[kind] == nil {
			return nil
		}
		maps.Copy(ids, way[kind])
	}
	maps.DeleteFunc(ids, func(id string, _ bool) bool { return d.Deny[kind][id] })
	return idsIn(ids)
}

// idsIn are the ids of a set, never nil: no ids are not no limit.
func idsIn(set map[string]bool) []string {
	return slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
}

// limitedTo is limited of the scope of ctx, for the lists of what has a resource of the kind.
func limitedTo(ctx context.Context, kind domain.ScopeKind) []string {
	return documentFor(ctx, domain.ScopeKinds()...).limited(kind)
}

// arguments are those of a statement that is put together.
type arguments []any

// add gives the parameter of a further argument.
func (a *arguments) add(value any) string {
	*a = append(*a, value)
	return "$" + strconv.Itoa(len(*a))
}

// condition is the scope as a condition on the columns, as scope_allows decides, with arrays of ids: the planner knows how many rows
// those have, and a sum over many rows is sooner done.
func (d *scopeDocument) condition(columns scopeColumns, args *arguments) string {
	var all []string
	if d.Any != nil {
		ways := make([]string, len(d.Any))
		for i, way := range d.Any {
			parts := []string{"true"}
			for _, kind := range domain.ScopeKinds() {
				if ids := way[kind]; ids != nil {
					parts = append(parts, columns[kind]+" = ANY("+args.add(idsIn(ids))+"::uuid[])")
				}
			}
			ways[i] = strings.Join(parts, " AND ")
		}
		all = append(all, "("+strings.Join(ways, " OR ")+")")
	}
	for _, kind := range domain.ScopeKinds() {
		if ids := d.Deny[kind]; len(ids) > 0 {
			all = append(all, "("+columns[kind]+" IS NULL OR "+columns[kind]+" <> ALL("+args.add(idsIn(ids))+"::uuid[]))")
		}
	}
	return strings.Join(append(all, "true"), " AND ")
}

// led is the newest rows of some things: {rows} is a table, {of} its column that names a thing, {things} a query that gives the
// things as "id", {where} the condition on a row r, {size} how many are wanted. A thing can have one of them only if its newest row is one of the so many newest
// ones: of the others nothing is read but that one row.
const led = `SELECT p.id, p.created_at
	FROM (SELECT w.* FROM ({things}) w
	      CROSS JOIN LATERAL (SELECT r.created_at, r.id FROM {rows} r WHERE {of} = w.id AND {where} ORDER BY r.created_at DESC, r.id DESC LIMIT 1) newest
	      ORDER BY newest.created_at DESC, newest.id DESC LIMIT {size}) w
	CROSS JOIN LATERAL (SELECT r.id, r.created_at FROM {rows} r WHERE {of} = w.id AND {where} ORDER BY r.created_at DESC, r.id DESC LIMIT {size}) p`

func ledBy(rows, of, things, where, size string) string {
	return strings.NewReplacer("{rows}", rows, "{of}", of, "{things}", things, "{where}", where, "{size}", size).Replace(led)
}

// newestOf is the page of columns of a table that the branches, each of id and created_at, lead to.
func newestOf(columns, table string, branches []string, size string) string {
	return `SELECT ` + columns + ` FROM ` + table + ` WHERE id = ANY(ARRAY(SELECT found.id FROM (` + strings.Join(branches, "\nUNION\n") + `) found
		ORDER BY found.created_at DESC, found.id DESC LIMIT ` + size + `)) ORDER BY created_at DESC, id DESC`
}
