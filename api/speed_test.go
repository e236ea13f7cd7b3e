package api

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

// make bench-api measures with 1,000,000 and holds the times against their limits. Otherwise only the plans are
// looked at: times of a small table say nothing.
var (
	speedRows   = flag.Int("speed-rows", 50_000, "executions of the speed test")
	speedLimit  = flag.Bool("speed-limits", false, "hold the times against their limits")
	speedReport = flag.String("speed-report", "", "file that the figures are written to")
)

// The limits.
const (
	mostPerPage   = 50 * time.Millisecond
	mostOfBare    = 3.0
	mostDashboard = 200 * time.Millisecond
	mostOfMedian  = 10
)

// mostStatements is how many statements a page may need, whatever its length: the session, the rows, and what belongs to
// them.
const mostStatements = 8

// bigTable is the number of rows from which on a table must not be read through for a page.
const bigTable = 20_000

// speed is what the speed test measures with.
type speed struct {
	*fixture
	conn              *pgx.Conn
	datasources, jobs int
	said              *recorder
	bare              *bareServer
	report            strings.Builder
	broken            []string       // limits that do not hold
	sizes             map[string]int // rows of each table
}

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

// bareServer answers with the rows of statements as JSON, and does nothing besides: what a page costs whoever
// serves it.
type bareServer struct {
	*httptest.Server
	pool *pgxpool.Pool
	said []pgx.TraceQueryStartData
}

func newBareServer(t *testing.T, url string) *bareServer {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan" // as those of the API
	b := &bareServer{}
	b.pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(b.pool.Close)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := b.read(r.Context())
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			text = []byte(err.Error())
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(b.Close)
	return b
}

// read reads the rows, decodes them and encodes them.
func (b *bareServer) read(ctx context.Context) ([]byte, error) {
	var out []byte
	for _, statement := range b.said {
		text, err := b.readOne(ctx, statement)
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
	}
	return out, nil
}

func (b *bareServer) readOne(ctx context.Context, statement pgx.TraceQueryStartData) ([]byte, error) {
	rows, err := b.pool.Query(ctx, statement.SQL, statement.Args...)
	if err != nil {
		return nil, err
	}
	items, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		for name, value := range item {
			if id, is := value.([16]byte); is {
				item[name] = uuid.UUID(id).String()
			}
		}
	}
	return json.Marshal(items)
}

func medianOf(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// timed is the median time of some rounds after two that do not count.
func timed(rounds int, work func()) time.Duration {
	var times []time.Duration
	for n := range rounds + 2 {
		began := time.Now()
		work()
		if n > 1 {
			times = append(times, time.Since(began))
		}
	}
	return medianOf(times)
}

// get reads an answer to its end.
func (s *speed) get(url string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := s.http.Client().Do(request)
	require.NoError(s.t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	require.Equal(s.t, http.StatusOK, answer.StatusCode, url)
}

// page compares a page of a list with its bare SELECT, and looks at the plans.
func (s *speed) page(l listed, number, limit int) {
	s.t.Helper()
	url := fmt.Sprintf("%s%slimit=%d", s.http.URL, l.path, limit)
	var position []any
	if number > 1 {
		url += "&cursor=" + s.after(l, (number-1)*limit)
		order, _ := l.order()
		keys := strings.NewReplacer(" DESC", "").Replace(order)
		rows, err := s.conn.Query(s.t.Context(), l.bare(keys, 1, false)+fmt.Sprintf(" OFFSET %d", (number-1)*limit-1))
		require.NoError(s.t, err)
		position, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		require.NoError(s.t, err)
	}
	said := s.said.during(func() { s.get(url) })
	s.requireIndexed(said)
	require.LessOrEqual(s.t, len(said), mostStatements, "%s asks for each row by itself", l.path)
	if s.bare.said = []pgx.TraceQueryStartData{{SQL: l.bare("*", limit+1, number > 1), Args: position}}; l.enriched {
		s.bare.said = slices.DeleteFunc(said, func(one pgx.TraceQueryStartData) bool { return strings.Contains(one.SQL, "SessionByTokenHash") })
	}
	if !*speedLimit {
		return
	}
	list, alone := s.side(func() { s.get(url) }, func() { s.get(s.bare.URL) })
	query := timed(15, func() {
		_, err := s.bare.read(s.t.Context())
		require.NoError(s.t, err)
	})
	ratio := float64(list) / float64(alone)
	name := strings.TrimRight(l.path, "?&")
	for _, id := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '=' }) {
		if uuid.Validate(id) == nil {
			name = strings.Replace(name, id, "…", 1)
		}
	}
	s.say("| %s | %d | %d | %.2f ms | %.2f ms | %.2f ms | %.1f × |", name, number, limit, ms(list), ms(query), ms(alone), ratio)
	s.limit(list <= mostPerPage, "%s, page %d: %.1f ms", name, number, ms(list))
	s.limit(ratio <= mostOfBare, "%s, page %d: %.1f × its bare SELECT", name, number, ratio)
}

// side measures two things in turns, so that what else the machine does meets both.
func (s *speed) side(one, other func()) (time.Duration, time.Duration) {
	var times [2][]time.Duration
	for n := range 25 {
		for i, work := range []func(){one, other} {
			began := time.Now()
			work()
			if n > 3 {
				times[i] = append(times[i], time.Since(began))
			}
		}
	}
	return medianOf(times[0]), medianOf(times[1])
}

// requireIndexed demands that no statement reads through a big table: the very statements of the API, with what it
// passed.
func (s *speed) requireIndexed(said []pgx.TraceQueryStartData) {
	s.t.Helper()
	require.NotEmpty(s.t, said)
	for _, statement := range said {
		plan, err := s.conn.Query(s.t.Context(), "EXPLAIN "+statement.SQL, statement.Args...)
		require.NoError(s.t, err)
		lines, err := pgx.CollectRows(plan, pgx.RowTo[string])
		require.NoError(s.t, err, statement.SQL)
		for _, line := range lines {
			_, table, found := strings.Cut(line, "Seq Scan on ")
			if table, _, _ = strings.Cut(table, " "); found {
				require.Less(s.t, s.sizes[table], bigTable, "%s\n%s", statement.SQL, strings.Join(lines, "\n"))
			}
		}
	}
}

// say writes a line of the report.
func (s *speed) say(format string, args ...any) { fmt.Fprintf(&s.report, format+"\n", args...) }

// limit notes a limit that does not hold.
func (s *speed) limit(holds bool, format string, args ...any) {
	if !holds {
		s.broken = append(s.broken, fmt.Sprintf(format, args...))
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func newSpeed(t *testing.T) *speed {
	t.Helper()
	s := &speed{said: &recorder{}, jobs: max(*speedRows/100, 100), datasources: max(*speedRows/1000, 100)}
	s.fixture = signedIn(t)
	database, err := db.Open(t.Context(), db.Config{URL: s.url, MasterKey: dbtest.Key(), Tracer: s.said})
	require.NoError(t, err)
	t.Cleanup(database.Close)
	options := s.server.opts
	options.DB, options.Logger = database, slog.New(slog.DiscardHandler)
	s.server, err = newServer(options)
	require.NoError(t, err)
	web := httptest.NewServer(s.server.engine)
	t.Cleanup(web.Close)
	s.http = web
	s.conn, s.bare = s.connect(), newBareServer(t, s.url)
	s.fill()
	return s
}

func TestSpeedOfListsAndTheDashboard(t *testing.T) {
	s := newSpeed(t)
	lists := s.lists()
	s.requireEveryList(lists)
	s.say("| list | page | rows a page | API | SELECT over pgx | SELECT over HTTP | API / SELECT over HTTP |")
	s.say("|---|---:|---:|---:|---:|---:|---:|")
	for _, l := range lists {
		counted, _, _ := strings.Cut(l.bare("count(*)::text", 1, false), " ORDER BY ")
		rows, err := strconv.Atoi(s.one(counted))
		require.NoError(t, err)
		s.page(l, 1, 50)
		limit := min(max(rows/1001, 1), 50)
		s.page(l, min(1000, (rows-1)/limit+1), limit)
		s.write() // what is measured so far, should the time not suffice
	}
	s.dashboard()
	s.mixed()
	t.Log("\n" + s.report.String())
	s.write()
	if *speedLimit {
		require.Empty(t, s.broken)
	}
}

// dashboard measures it, and each of its statements alone.
func (s *speed) dashboard() {
	url := s.http.URL + "/api/dashboard/overview"
	said := s.said.during(func() { s.get(url) })
	took := timed(9, func() { s.get(url) })
	s.say("\nDashboard: %.0f ms (at most %.0f). Its statements, each alone:\n", ms(took), ms(mostDashboard))
	for _, statement := range said {
		alone := timed(5, func() {
			rows, err := s.bare.pool.Query(s.t.Context(), statement.SQL, statement.Args...)
			require.NoError(s.t, err)
			for rows.Next() {
			}
			require.NoError(s.t, rows.Err())
		})
		text := strings.Join(strings.Fields(statement.SQL), " ")
		s.say("- %.1f ms: `%s…`", ms(alone), text[:min(len(text), 110)])
	}
	s.limit(took <= mostDashboard, "the dashboard: %.0f ms", ms(took))
}

// mixed measures 500 reads a second.
func (s *speed) mixed() {
	job, datasource := s.one("SELECT id::text FROM jobs WHERE n = 7"), s.one("SELECT id::text FROM d WHERE n = 7")
	half, last := s.load(s.t, []string{
		"/api/executions", "/api/executions?job=" + job, "/api/datasources/" + datasource, "/api/backup-jobs?limit=20", "/api/backup-jobs/" + job,
		"/api/notifications?limit=20", "/api/notifications/unread-count", "/api/executions/" + s.one("SELECT id::text FROM backup_executions LIMIT 1"),
		"/api/backups/datasources/" + datasource + "?limit=20", "/api/db-sync-executions?limit=20",
	})
	s.say("\n500 mixed reads a second: median %.1f ms, p99 %.1f ms (at most %d × the median)", ms(half), ms(last), mostOfMedian)
	s.limit(last <= mostOfMedian*half, "500 mixed reads a second: p99 %.1f ms, %.1f × the median", ms(last), float64(last)/float64(half))
}

// write writes the report into the file that was asked for.
func (s *speed) write() {
	if *speedReport == "" {
		return
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, speedHead, *speedRows, s.jobs, s.datasources, mostOfBare, ms(mostPerPage), bigTable)
	out.WriteString(s.report.String())
	fmt.Fprintf(&out, "\nLimits that do not hold: %d\n", len(s.broken))
	for _, one := range s.broken {
		fmt.Fprintf(&out, "- %s\n", one)
	}
	require.NoError(s.t, os.WriteFile(*speedReport, out.Bytes(), 0o644))
}

const speedHead = `# Speed of the API

Written by ` + "`make bench-api`" + `; do not edit. %d executions, %d backup jobs, %d datasources, and as many of everything else as its list
needs for a thousand pages. Medians.

- *API*: a request with a session over HTTP, from this process to itself, until the answer is read.
- *SELECT over pgx*: ` + "`SELECT *`" + ` of the same rows (of a list that shows more than its table has, all the statements that it needs), decoded and encoded as JSON, on connections with the API's settings.
- *SELECT over HTTP*: the same, served by a handler that does nothing besides: no session, no permission, no schema. The API must stay within
  %.0f × that, and within %.0f ms.
- The page in the middle of the table is the 1,000th. Where a thing is there a thousand times, that is a page of one row: then what a request costs anyway is all there is to see.
- Every statement that the API sent for a page was explained with the values it had: none reads through a table of %[6]d rows or more.

`
