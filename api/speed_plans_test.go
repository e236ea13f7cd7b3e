package api

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// recorder notes what the API says to the database.
type recorder struct {
	mu   sync.Mutex
	on   bool
	said []pgx.TraceQueryStartData
}

// TraceQueryStart is part of pgx.QueryTracer.
func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on && strings.Contains(data.SQL, "SELECT") {
		r.said = append(r.said, data)
	}
	return ctx
}

// TraceQueryEnd is part of pgx.QueryTracer.
func (*recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// during gives what is said while work is done.
func (r *recorder) during(work func()) []pgx.TraceQueryStartData {
	set := func(on bool) []pgx.TraceQueryStartData {
		r.mu.Lock()
		defer r.mu.Unlock()
		said := r.said
		r.on, r.said = on, nil
		return said
	}
	set(true)
	work()
	return set(false)
}

// readThrough are the tables that the page of another list may read through, with why: where most pages of a table on the disk have
// a row that is wanted, that is what the planner does, and should.
var readThrough = map[string]string{
	"access_changes":    "the number of changes, in some twenty rows at most: one page of the disk",
	"permissions":       "those that the program knows, about thirty: one page of the disk",
	"system_settings":   "what is set otherwise than by default, one page of the disk",
	"storage_locations": "looked up by the ids of a page of backups, up to fifty of 1,100, which are on most of its pages of the disk; where it is not to be read through, its key serves",
}

// mostFiltered is how many rows a statement may read in vain, so that an index does not hide what is as slow as reading through.
const mostFiltered = 2_000

var (
	scanned = regexp.MustCompile(`Seq Scan on (\w+)`)
	inVain  = regexp.MustCompile(`Rows Removed by (?:Filter|Join Filter|Index Recheck): (\d+)`)
	// whoAsks are the statements that find who asks, and what they may do where that was changed.
	whoAsks = regexp.MustCompile(`-- name: (SessionByTokenHash|SessionAndAccess)\n`)
	manyIDs = regexp.MustCompile(`'\{[0-9a-f-]{36}(,[0-9a-f-]{36})+\}'`)
)

// requireIndexed demands that no statement reads through a table: the very statements of the API, with what it passed. Small
// tables are read through by choice; so the planner is asked not to where the catalogue is small, and what it does then anyway has no index.
func (s *speed) requireIndexed(l listed, number, rows int, said []pgx.TraceQueryStartData) {
	s.t.Helper()
	require.NotEmpty(s.t, said)
	name := l.name()
	s.plan("\n## %s, page %d, %d rows\n", name, number, rows)
	_, err := s.conn.Exec(s.t.Context(), "SET enable_seqscan = "+map[bool]string{true: "on", false: "off"}[*speedLimit])
	require.NoError(s.t, err)
	for _, statement := range said {
		caller := whoAsks.FindString(statement.SQL)
		if caller != "" && slices.Contains(s.callersShown, caller) {
			continue // the same for all
		}
		lines := s.explain(statement)
		for _, line := range lines {
			table, removed, vain := scanned.FindStringSubmatch(line), inVain.FindStringSubmatch(line), 0
			if removed != nil {
				vain, err = strconv.Atoi(removed[1])
				require.NoError(s.t, err)
			}
			allowed := table == nil || *speedLimit && readThrough[table[1]] != "" && table[1] != l.table
			holds := allowed && vain <= mostFiltered
			s.limit(holds, "%s, page %d: %s, in\n%s\n%s", name, number, strings.TrimSpace(line), statement.SQL, strings.Join(lines, "\n"))
		}
		if caller != "" {
			s.callersShown = append(s.callersShown, caller)
		}
		text := strings.Join(strings.Fields(statement.SQL), " ")
		s.plan("```\n%s…\n\n%s\n```\n", text[:min(len(text), 150)], strings.Join(lines, "\n"))
	}
}

// inFunctions are the plans of what the functions of a statement say: auto_explain tells them, as EXPLAIN does not. It logs to its client.
func (s *speed) inFunctions(statement pgx.TraceQueryStartData) (lines []string) {
	s.t.Helper()
	config, err := pgx.ParseConfig(s.url)
	require.NoError(s.t, err)
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		lines = append(lines, strings.Split(notice.Message, "\n")...)
	}
	conn, err := pgx.ConnectConfig(s.t.Context(), config)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, conn.Close(s.t.Context())) }()
	for _, set := range []string{
		"LOAD 'auto_explain'", "SET auto_explain.log_min_duration = 0", "SET auto_explain.log_nested_statements = on", "SET auto_explain.log_analyze = on",
		"SET auto_explain.log_timing = off", "SET client_min_messages = log", "SET enable_seqscan = " + s.one("SHOW enable_seqscan"),
	} {
		_, err := conn.Exec(s.t.Context(), set)
		require.NoError(s.t, err, set)
	}
	lines = nil
	rows, err := conn.Query(s.t.Context(), statement.SQL, statement.Args...)
	require.NoError(s.t, err)
	rows.Close()
	require.NoError(s.t, rows.Err())
	require.NotEmpty(s.t, lines)
	costs := regexp.MustCompile(` +\(cost=\S+ rows=\d+ width=\d+\)`)
	for i, line := range lines {
		lines[i] = costs.ReplaceAllString(line, "")
	}
	return slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "duration:") || strings.TrimSpace(line) == "" })
}

// explain gives the plan of a statement and what came of it.
func (s *speed) explain(statement pgx.TraceQueryStartData) []string {
	s.t.Helper()
	if whoAsks.MatchString(statement.SQL) {
		return s.inFunctions(statement)
	}
	plan, err := s.conn.Query(s.t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+statement.SQL, statement.Args...)
	require.NoError(s.t, err)
	lines, err := pgx.CollectRows(plan, pgx.RowTo[string])
	require.NoError(s.t, err, statement.SQL)
	for i, line := range lines {
		lines[i] = manyIDs.ReplaceAllStringFunc(line, func(ids string) string { return fmt.Sprintf("'{%d ids}'", strings.Count(ids, ",")+1) })
	}
	return slices.DeleteFunc(lines, func(line string) bool {
		return strings.Contains(line, "Memory: ") || strings.Contains(line, "Heap Blocks: ")
	})
}

// plan writes into the report of plans.
func (s *speed) plan(format string, args ...any) { fmt.Fprintf(&s.plans, format+"\n", args...) }
