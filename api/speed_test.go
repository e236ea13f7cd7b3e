package api

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// make bench-api measures with 1,000,000 and holds the times against their limits. Otherwise only the plans are
// looked at: times of a small table say nothing.
var (
	speedRows  = flag.Int("speed-rows", 20_000, "executions of the speed test")
	speedLimit = flag.Bool("speed-limits", false, "hold the times against their limits")
)

const fillCatalogue = `
	ALTER TABLE backup_executions DISABLE TRIGGER backup_executions_notify;
	INSERT INTO datasources (id, name, type, tags, connection_config)
	SELECT gen_random_uuid(), 'datasource ' || n, 'postgres', ARRAY['tag' || n %% 10],
	       jsonb_build_object('host', 'db' || n || '.example.com', 'port', 5432, 'database', 'orders', 'username', 'backup', 'ssl_mode', 'prefer')
	FROM generate_series(1, %[1]d) n;
	INSERT INTO storage_locations (id, name, type, config)
	SELECT gen_random_uuid(), 'storage ' || n, 'local', jsonb_build_object('path', '/srv/' || n) FROM generate_series(1, 100) n;
	UPDATE datasources SET created_at = now() - random() * interval '400 days';
	UPDATE storage_locations SET created_at = now() - random() * interval '400 days';
	CREATE TEMPORARY TABLE d AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM datasources;
	CREATE TEMPORARY TABLE s AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM storage_locations;
	INSERT INTO backup_jobs (id, name, datasource_id, storage_location_id, schedule_cron, retention_policy, backup_options, created_at)
	SELECT gen_random_uuid(), 'job ' || j, d.id, s.id, (j %% 60) || ' ' || (j %% 24) || ' * * *', '{"max_backups": 3, "auto_delete": true}', '{"verify": "quick"}', now() - random() * interval '400 days'
	FROM generate_series(1, %[2]d) j JOIN d ON d.n = j %% %[1]d JOIN s ON s.n = j %% 100;
	CREATE TEMPORARY TABLE jobs AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, datasource_id, storage_location_id FROM backup_jobs;
	INSERT INTO backup_executions (id, job_id, datasource_id, storage_location_id, status, size_bytes, compressed_size_bytes, started_at, finished_at,
	                               generation, metadata, created_at)
	SELECT x.id, jobs.id, jobs.datasource_id, jobs.storage_location_id, x.status::execution_status, 1e9, 4e8, x.at, x.at + interval '5 minutes', left(x.id::text, 8),
	       jsonb_build_object('operation', CASE WHEN x.e %% 200 = 0 THEN 'restore' ELSE 'backup' END, 'trigger', 'schedule', 'workflow_id', 'backup-' || x.id,
	                          'actor', 'scheduler', 'manifest_path', repeat('m', 80), 'manifest_sha256', repeat('0', 64), 'options', '{"verify": "quick"}'::jsonb), x.at
	FROM (SELECT e, gen_random_uuid() AS id, CASE WHEN e %% 50 = 0 THEN 'failed' ELSE 'completed' END AS status,
	             now() - random() * interval '400 days' AS at FROM generate_series(1, %[3]d) e) x
	JOIN jobs ON jobs.n = x.e %% %[2]d;
	ALTER TABLE backup_executions ENABLE TRIGGER backup_executions_notify;`

// listed is a list endpoint with the bare SELECT of the same page.
type listed struct {
	path  string // with its filters
	table string
	where string // of the filters; "" for none
	limit int
}

func (l listed) bare(limit int, cursor bool) string {
	conditions := []string{"true"}
	if l.where != "" {
		conditions = append(conditions, l.where)
	}
	if cursor {
		conditions = append(conditions, "(created_at, id) < ($1, $2)")
	}
	return fmt.Sprintf("SELECT * FROM %s WHERE %s ORDER BY created_at DESC, id DESC LIMIT %d", l.table, strings.Join(conditions, " AND "), limit)
}

func medianOf(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// speed is what the speed test measures with.
type speed struct {
	*fixture
	conn *pgx.Conn
}

// timed is the median time of some rounds after one that does not count.
func timed(rounds int, work func()) time.Duration {
	var times []time.Duration
	for n := range rounds + 1 {
		began := time.Now()
		work()
		if n > 0 {
			times = append(times, time.Since(began))
		}
	}
	return medianOf(times)
}

// page compares a page of a list with its bare SELECT, and looks at the plan.
func (s speed) page(t *testing.T, l listed, number int) {
	t.Helper()
	path, args := l.path+"limit="+strconv.Itoa(l.limit), []any{}
	if number > 1 {
		var at time.Time
		var id string
		err := s.conn.QueryRow(t.Context(), strings.Replace(l.bare(1, false), "*", "created_at, id::text", 1)+fmt.Sprintf(" OFFSET %d", (number-1)*l.limit-1)).Scan(&at, &id)
		require.NoError(t, err, "%s has no page %d", l.path, number)
		path += "&cursor=" + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", at.UnixMicro(), id))
		args = []any{at, id}
	}
	sql := l.bare(l.limit+1, number > 1)
	plan, err := s.conn.Query(t.Context(), "EXPLAIN "+sql, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(plan, pgx.RowTo[string])
	require.NoError(t, err)
	if l.table == "backup_executions" || *speedLimit {
		require.NotContains(t, strings.Join(lines, "\n"), "Seq Scan", "%s\n%s", sql, strings.Join(lines, "\n"))
	}
	bare := timed(15, func() {
		rows, err := s.conn.Query(t.Context(), sql, args...)
		require.NoError(t, err)
		_, err = pgx.CollectRows(rows, pgx.RowToMap)
		require.NoError(t, err)
	})
	list := timed(15, func() { s.call("GET", path, nil).ok(200) })
	ratio := float64(list) / float64(bare)
	t.Logf("| %s | %d | %.1f ms | %.1f ms | %.1f × |", strings.TrimRight(l.path, "?&"), number, ms(list), ms(bare), ratio)
	if *speedLimit {
		require.Less(t, list, 50*time.Millisecond, path)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func TestSpeedOfListsAndTheDashboard(t *testing.T) {
	f := signedIn(t)
	jobs, datasources := max(*speedRows/100, 100), max(*speedRows/1000, 100)
	conn, err := pgx.Connect(t.Context(), f.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), fmt.Sprintf(fillCatalogue, datasources, jobs, *speedRows))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "VACUUM ANALYZE")
	require.NoError(t, err)
	s := speed{f, conn}
	one := func(table string) (id string) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT id::text FROM "+table+" ORDER BY created_at DESC LIMIT 1 OFFSET 50").Scan(&id))
		return id
	}
	job, datasource, storage := one("backup_jobs"), one("datasources"), one("storage_locations")
	t.Logf("| list | page | API | bare SELECT | ratio |")
	for _, l := range []listed{
		{"/api/executions?", "backup_executions", "", max(*speedRows/20000, 1)},
		{"/api/executions?status=failed&", "backup_executions", "status = 'failed'", max(*speedRows/100_000, 1)},
		{"/api/executions?operation=restore&", "backup_executions", "operation = 'restore'", max(*speedRows/250_000, 1)},
		{"/api/executions?storage=" + storage + "&", "backup_executions", "storage_location_id = '" + storage + "'", max(*speedRows/200_000, 1)},
		{"/api/backup-jobs?", "backup_jobs", "", max(jobs/1100, 1)},
		{"/api/datasources?", "datasources", "", 1},
	} {
		s.page(t, l, 1)
		if *speedRows >= 1_000_000 {
			s.page(t, l, min(1000, datasourcesPages(l, datasources)))
		}
	}
	for _, l := range []listed{
		{"/api/executions?job=" + job + "&", "backup_executions", "job_id = '" + job + "'", 50},
		{"/api/executions?datasource=" + datasource + "&", "backup_executions", "datasource_id = '" + datasource + "'", 50},
		{"/api/backups/datasources/" + datasource + "?", "backup_executions", "datasource_id = '" + datasource + "' AND operation = 'backup' AND status = 'completed' AND deleting_at IS NULL", 50},
		{"/api/backup-jobs?", "backup_jobs", "", 50},
		{"/api/datasources?", "datasources", "", 50},
		{"/api/storage-locations?", "storage_locations", "", 50},
		{"/api/backups/datasources?", "datasources", "", 50},
		{"/api/backups/restore-targets?", "datasources", "", 50},
	} {
		s.page(t, l, 1)
	}
	dashboard := timed(7, func() { f.call("GET", "/api/dashboard/overview", nil).ok(200) })
	t.Logf("dashboard: %.0f ms", ms(dashboard))
	half, last := s.load(t, []string{"/api/executions", "/api/executions?job=" + job, "/api/datasources/" + datasource, "/api/backup-jobs?limit=20", "/api/backup-jobs/" + job})
	t.Logf("500 mixed reads a second: median %.1f ms, p99 %.1f ms", ms(half), ms(last))
	if *speedLimit {
		require.Less(t, dashboard, 200*time.Millisecond)
		require.Less(t, last, 10*half)
	}
}

// datasourcesPages is the number of pages that a list has at least.
func datasourcesPages(l listed, datasources int) int {
	if l.table == "datasources" {
		return datasources - 1
	}
	return 1000
}

// load sends 500 requests a second for some seconds, each at its time whether or not the ones before are
// answered, and gives the median and the 99th percentile.
func (s speed) load(t *testing.T, paths []string) (half, last time.Duration) {
	t.Helper()
	const perSecond = 500
	seconds := 2
	if *speedLimit {
		seconds = 10
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	times, failed := make([]time.Duration, perSecond*seconds), make([]error, perSecond*seconds)
	var all sync.WaitGroup
	begin := time.Now()
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for n := range times {
		due := begin.Add(time.Duration(n) * time.Second / perSecond)
		for time.Now().Before(due) {
			<-tick.C
		}
		all.Go(func() {
			times[n], failed[n] = s.read(client, paths[n%len(paths)], due)
		})
	}
	all.Wait()
	for _, err := range failed {
		require.NoError(t, err)
	}
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100]
}

// read asks once; the time counts from when the request was due.
func (s speed) read(client *http.Client, path string, due time.Time) (time.Duration, error) {
	request, err := http.NewRequest(http.MethodGet, s.http.URL+path, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return time.Since(due), err
}
