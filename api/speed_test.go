package api

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/db/dbtest"
)

// make bench-api measures with 1,000,000 and holds the times against their limits. Otherwise only the plans are
// looked at: times of a small table say nothing.
var (
	speedRows   = flag.Int("speed-rows", 20_000, "executions of the speed test")
	speedLimit  = flag.Bool("speed-limits", false, "hold the times against their limits")
	speedReport = flag.String("speed-report", "", "file (NAME.md) that the figures are written to; the plans go to NAME-plans.md")
)

// The limits.
const (
	mostPerPage   = 50 * time.Millisecond
	mostOfBare    = 3.0
	fullPage      = 50 // rows, from which on a page is held against the SELECT without HTTP too
	mostDashboard = 200 * time.Millisecond
	mostOfMedian  = 10
)

// mostStatements is how many statements a page may need, whatever its length: the session, the rows, and what belongs to
// them.
const mostStatements = 8

// speed is what the speed test measures with.
type speed struct {
	*fixture
	conn              *pgx.Conn
	rows              int // executions
	datasources, jobs int
	said              *recorder
	bare              *bareServer
	report, plans     strings.Builder
	broken            []string          // limits that do not hold
	about             string            // what is measured, and on what
	callersShown      []string          // the names of statements that look up who asks whose plans are in the report
	callers           map[string]string // tokens of limitedCallers
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
func (s *speed) get(url string) []byte {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := s.http.Client().Do(request)
	require.NoError(s.t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	require.Equal(s.t, http.StatusOK, answer.StatusCode, "%s: %s", url, text)
	return text
}

// page compares a page of a list with its bare SELECT, and looks at the plans.
func (s *speed) page(l listed, number, limit int) {
	s.t.Helper()
	defer s.as(l.caller)()
	url := fmt.Sprintf("%s%slimit=%d", s.http.URL, l.path, limit)
	var position []any
	if number > 1 {
		url += "&cursor=" + s.after(l, (number-1)*limit)
		order, _ := l.order()
		keys := strings.NewReplacer(" DESC", "").Replace(order)
		rows, err := s.conn.Query(s.t.Context(), l.bare(keys, "1", false)+fmt.Sprintf(" OFFSET %d", (number-1)*limit-1))
		require.NoError(s.t, err)
		position, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		require.NoError(s.t, err)
	}
	var answer []byte
	said := s.said.during(func() { answer = s.get(url) })
	require.LessOrEqual(s.t, len(said), mostStatements, "%s asks for each row by itself", l.path)
	// The limit is a parameter, as it is the API's: a statement without any is planned once, whatever the connection's setting.
	s.bare.said = pgx.TraceQueryStartData{
		SQL:  l.bare(l.columns(), fmt.Sprintf("$%d::int", len(position)+1), number > 1),
		Args: append(position, limit+1),
	}
	shown := s.sameRows(answer, limit)
	s.requireIndexed(l, number, shown, said)
	if !*speedLimit {
		return
	}
	query := func() {
		_, err := s.bare.read(s.t.Context())
		require.NoError(s.t, err)
	}
	times := s.side(func() { s.get(url) }, query, func() { s.get(s.bare.URL) })
	s.judge(l, number, shown, times)
}

// judge writes the line of a page and holds it against the limits: times are those of the API, of the SELECT, and of the
// SELECT over HTTP.
func (s *speed) judge(l listed, number, rows int, times []time.Duration) {
	list, name := times[0], l.name()
	ofQuery, ofServed := float64(list)/float64(times[1]), float64(list)/float64(times[2])
	s.say("| %s | %d | %d | %.2f ms | %.2f ms | %.2f ms | %.1f × | %.1f × |", name, number, rows, ms(list), ms(times[1]), ms(times[2]), ofQuery, ofServed)
	s.limit(list <= mostPerPage, "%s, page %d: %.1f ms", name, number, ms(list))
	if l.caller != "" {
		return // the SELECT knows already what its caller sees
	}
	s.limit(ofServed <= mostOfBare, "%s, page %d: %.1f × its bare SELECT over HTTP", name, number, ofServed)
	if rows >= fullPage {
		s.limit(ofQuery <= mostOfBare, "%s, page %d: %.1f × its bare SELECT", name, number, ofQuery)
	}
}

// as makes a limited caller ask, "" for the owner, and gives what ends that.
func (s *speed) as(caller string) (end func()) {
	before := s.token
	if caller != "" {
		s.token = s.callers[caller]
	}
	return func() { s.token = before }
}

// side measures several things in turns, so that what else the machine does meets all of them.
func (s *speed) side(works ...func()) []time.Duration {
	times := make([][]time.Duration, len(works))
	for n := range 25 {
		for i, work := range works {
			began := time.Now()
			work()
			if n > 3 {
				times[i] = append(times[i], time.Since(began))
			}
		}
	}
	medians := make([]time.Duration, len(works))
	for i := range times {
		medians[i] = medianOf(times[i])
	}
	return medians
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

func newSpeed(t *testing.T, rows int) *speed {
	t.Helper()
	s := &speed{said: &recorder{}, rows: rows, jobs: max(rows/100, 100), datasources: max(rows/1000, 100)}
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
	s.limitedCaller()
	return s
}

func TestSpeedOfListsAndTheDashboard(t *testing.T) {
	s := newSpeed(t, *speedRows)
	s.about = s.versions()
	lists := s.lists()
	s.requireEveryList(lists)
	s.say("| list | page | rows | API | SELECT over pgx | SELECT over HTTP | API / SELECT | API / SELECT over HTTP |")
	s.say("|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, l := range lists {
		counted, _, _ := strings.Cut(l.bare("count(*)::text", "1", false), " ORDER BY ")
		rows, err := strconv.Atoi(s.one(counted))
		require.NoError(t, err)
		s.page(l, 1, fullPage)
		limit := min(max(rows/1001, 1), fullPage)
		s.page(l, min(1000, (rows-1)/limit+1), limit)
		s.write() // what is measured so far, should the time not suffice
	}
	s.besides()
	for _, caller := range append([]string{""}, limitedCallers...) {
		s.dashboard(caller)
	}
	s.mixed()
	t.Log("\n" + s.report.String())
	s.write()
	require.Empty(t, s.broken)
}

// besides measures what a request costs besides the rows of its page.
func (s *speed) besides() {
	s.get(s.http.URL + "/api/auth/me") // what the caller may do is known then
	said := s.said.during(func() { s.get(s.http.URL + "/api/auth/me") })
	require.Len(s.t, said, 1, "the session is looked up, and nothing else")
	query := func() {
		_, err := s.bare.read(s.t.Context())
		require.NoError(s.t, err)
	}
	s.bare.said = pgx.TraceQueryStartData{SQL: "SELECT 1 AS one"}
	times := s.side(query, func() { s.get(s.bare.URL) }, func() { s.get(s.http.URL + "/healthz") }, func() { s.get(s.http.URL + "/api/auth/me") })
	s.bare.said = said[0]
	session := timed(21, query)
	s.say("\nWhat a request costs besides the rows of its page:\n")
	s.say("- %.2f ms: a statement (`SELECT 1`) over pgx; %.2f ms: the same over HTTP, so %.2f ms a round trip", ms(times[0]), ms(times[1]), ms(times[1]-times[0]))
	s.say("- %.2f ms: `GET /healthz`, a round trip and what every request passes through: ids, log, metrics, limits", ms(times[2]))
	s.say("- %.2f ms: the look-up of the session, its user and the permissions, over pgx", ms(session))
	s.say("- %.2f ms: `GET /api/auth/me`, all of that, the checks of the schema and an answer", ms(times[3]))
}

// dashboard measures it, and each of its statements alone.
func (s *speed) dashboard(caller string) {
	defer s.as(caller)()
	url := s.http.URL + "/api/dashboard/overview"
	said := s.said.during(func() { s.get(url) })
	took := timed(9, func() { s.get(url) })
	s.say("\nDashboard%s: %.0f ms (at most %.0f). Its statements, each alone:\n", ofCaller(caller), ms(took), ms(mostDashboard))
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
	s.limit(took <= mostDashboard || !*speedLimit, "the dashboard%s: %.0f ms", ofCaller(caller), ms(took))
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
	s.limit(last <= mostOfMedian*half || !*speedLimit, "500 mixed reads a second: p99 %.1f ms, %.1f × the median", ms(last), float64(last)/float64(half))
}
