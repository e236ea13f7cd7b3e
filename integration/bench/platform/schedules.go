package platform

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// sleeping is the program of Run's waiting, which the workers are allowed to run.
const sleeping = "/bin/sleep"

// callers is how many clients make and change jobs at the same time.
const callers = 4

// A busy API or Temporal may refuse a change of a job for a while (503): it is made again, so many times, this long apart.
const (
	changeAttempts = 20
	changeAgain    = time.Second
)

// lateStart is how late the measurement of a due minute may begin: what runs before it is not in the figures.
const lateStart = 2 * time.Second

// Scheduled are jobs with schedules, each of the smallest backup there is: a folder with one file. So what is measured is
// what starting and recording costs.
type Scheduled struct {
	p       *Platform
	jobs    []string
	made    float64    // jobs a second
	workers []*process // besides the platform's own
}

// Due is what became of the jobs that were due at one moment.
type Due struct {
	Jobs      int
	Completed int
	Starts    float64          // a second, from the first queued to the last
	Ends      float64          // a second, from the first queued to the last finished
	Queued    [2]time.Duration // p50 and p99 of how late the executions were queued
	Finished  [2]time.Duration // and finished
	Worker    time.Duration    // processor time of all workers
	Up        time.Duration    // of Temporal and the API
	Postgres  time.Duration    // of the catalogue
	PeakRSS   int64            // of the platform's own worker
}

// Schedule makes n jobs that are not due before the next January.
func (p *Platform) Schedule(ctx context.Context, n int) (*Scheduled, error) {
	s := &Scheduled{p: p, jobs: make([]string, n)}
	tree := filepath.Join(p.dir, "smallest")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(tree, "file"), []byte("the smallest backup there is"), 0o644); err != nil {
		return nil, err
	}
	// No jitter, and one datasource for all of them: neither is what is measured.
	if err := p.catalogueDo(ctx, `INSERT INTO system_settings (key, value) VALUES ('schedules.jitter_seconds', '0'), ('concurrency.per_datasource', '0')
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`); err != nil {
		return nil, err
	}
	datasource, err := p.api.Datasources.Create(ctx, client.DatasourceDocument{
		Name: "smallest", Type: domain.Files, Pool: pool, ConnectionConfig: domain.ConnectionConfig{SourcePath: tree},
	})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	storage, err := p.api.StorageLocations.Create(ctx, client.StorageLocationDocument{
		Name: "smallest", Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: filepath.Join(p.dir, storageFolder, "smallest")},
	})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	began := time.Now()
	err = together(n, func(i int) error {
		return whileUnavailable(ctx, func() error {
			job, err := p.api.BackupJobs.Create(ctx, client.BackupJobDocument{
				Name: fmt.Sprintf("scheduled %d", i), DatasourceID: datasource.ID, StorageLocationID: storage.ID, ScheduleCron: "0 0 1 1 *",
			})
			s.jobs[i] = job.ID
			return err
		})
	})
	s.made = float64(n) / time.Since(began).Seconds()
	return s, err
}

// Made is how many jobs a second were made, each with its schedule.
func (s *Scheduled) Made() float64 { return s.made }

// Workers makes it so many worker processes in all.
func (s *Scheduled) Workers(n int) error {
	for len(s.workers)+1 < n {
		started, err := s.p.start("worker", s.p.workerEnvironment...)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, started)
	}
	return nil
}

// Stop ends the workers that Workers started.
func (s *Scheduled) Stop() {
	for _, worker := range s.workers {
		worker.stop()
	}
}

// Run lets n jobs be due at one minute, and waits until all of them have ended. Each first waits for so long in a slot of its worker
// and does nothing, as one does whose server takes its time.
func (s *Scheduled) Run(ctx context.Context, n int, wait, patience time.Duration) (Due, error) {
	jobs, change := s.jobs[:n], map[string]any{}
	if wait > 0 { // others: those keep their hook
		jobs = s.jobs[len(s.jobs)-n:]
		change["backup_options"] = domain.BackupOptions{Hooks: &domain.Hooks{Before: []domain.Hook{{
			Command: []string{sleeping, fmt.Sprintf("%.3f", wait.Seconds())}, FailRun: true,
		}}}}
	}
	// They are changed until then: a change may take four times as long as making a job did.
	preparation := time.Duration(4 * float64(n) / s.made * float64(time.Second))
	at := time.Now().UTC().Add(preparation + 80*time.Second).Truncate(time.Minute)
	change["schedule_cron"] = fmt.Sprintf("%d %d %d %d *", at.Minute(), at.Hour(), at.Day(), int(at.Month()))
	if err := together(n, func(i int) error {
		return whileUnavailable(ctx, func() error {
			_, err := s.p.api.BackupJobs.Update(ctx, jobs[i], change)
			return err
		})
	}); err != nil {
		return Due{}, err
	}
	time.Sleep(time.Until(at))
	if err := measure.ForgetPeak(s.p.worker.pid()); err != nil {
		return Due{}, err
	}
	before, err := s.spent()
	if err != nil {
		return Due{}, err
	}
	if late := time.Since(at); late > lateStart {
		return Due{}, fmt.Errorf("bench: changing %d jobs took %s longer than was thought", n, late)
	}
	due := Due{Jobs: n}
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		open := 0
		if err := s.p.catalogueRow(ctx, []any{&due.Completed, &open}, `SELECT count(*) FILTER (WHERE status = 'completed'), $2 - count(*) FILTER (WHERE finished_at IS NOT NULL)
			FROM backup_executions WHERE (metadata ->> 'scheduled_for')::timestamptz = $1`, at, n); err != nil {
			return due, err
		}
		if open <= 0 {
			break
		}
		if time.Now().After(end) {
			return due, fmt.Errorf("bench: %d of %d executions did not end in %s", open, n, patience)
		}
	}
	after, err := s.spent()
	if err != nil {
		return due, err
	}
	due.Worker, due.Up, due.Postgres = after[0]-before[0], after[1]-before[1], after[2]-before[2]
	if due.PeakRSS, err = measure.PeakRSS(s.p.worker.pid()); err != nil {
		return due, err
	}
	return due, s.lateness(ctx, at, &due)
}

func (s *Scheduled) lateness(ctx context.Context, at time.Time, due *Due) error {
	var queued50, queued99, finished50, finished99 float64
	err := s.p.catalogueRow(ctx, []any{&due.Starts, &due.Ends, &queued50, &queued99, &finished50, &finished99}, `
		SELECT count(*) / greatest(extract(epoch FROM max(created_at) - min(created_at)), 0.001)::float8,
		       count(*) / greatest(extract(epoch FROM max(finished_at) - min(created_at)), 0.001)::float8,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM created_at - $1)::float8),
		       percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM created_at - $1)::float8),
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - $1)::float8),
		       percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - $1)::float8)
		FROM backup_executions WHERE (metadata ->> 'scheduled_for')::timestamptz = $1`, at)
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	due.Queued = [2]time.Duration{seconds(queued50), seconds(queued99)}
	due.Finished = [2]time.Duration{seconds(finished50), seconds(finished99)}
	return err
}

// spent is the processor time of the workers, of `up` and of the catalogue so far.
func (s *Scheduled) spent() (out [3]time.Duration, err error) {
	for _, worker := range append([]*process{s.p.worker}, s.workers...) {
		cpu, err := measure.CPU(worker.pid())
		if err != nil {
			return out, fmt.Errorf("%w: the worker ended: %s", err, worker.tail())
		}
		out[0] += cpu
	}
	if out[1], err = measure.CPU(s.p.up.pid()); err != nil {
		return out, err
	}
	out[2], err = measure.TreeCPU(s.p.catalogue.PID())
	return out, err
}

func (p *Platform) catalogueDo(ctx context.Context, statement string) error {
	c, err := pgx.Connect(ctx, p.catalogue.DatabaseURL("dataguardian"))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, statement)
	return err
}

func (p *Platform) catalogueRow(ctx context.Context, into []any, query string, arguments ...any) error {
	c, err := pgx.Connect(ctx, p.catalogue.DatabaseURL("dataguardian"))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = c.Close(ctx) }()
	return c.QueryRow(ctx, query, arguments...).Scan(into...)
}

// whileUnavailable calls change again while the API says that it is not available: nothing has changed then.
func whileUnavailable(ctx context.Context, change func() error) error {
	for attempt := 1; ; attempt++ {
		err := change()
		if client.Status(err) != http.StatusServiceUnavailable || attempt == changeAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(changeAgain):
		}
	}
}

// together calls do for 0 to n-1 by several callers; it ends with the first error.
func together(n int, do func(i int) error) error {
	var next, failed atomic.Int64
	var first error
	var once sync.Once
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == 0; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.Add(1)
					once.Do(func() { first = fmt.Errorf("bench: %w", err) })
				}
			}
		})
	}
	all.Wait()
	return first
}
