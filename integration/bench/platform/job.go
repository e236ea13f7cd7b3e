package platform

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/database"
	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// Job is a backup job with a datasource and a storage location of its own.
type Job struct {
	platform        *Platform
	name            string
	source, storage string // ids
	id              string
	dir             string // of the storage location
}

// Backup is a backup that a Job made.
type Backup struct {
	ID    string
	Type  domain.BackupType
	Bytes int64 // of the dump
}

// Job makes a job that backs address up to a directory of its own, with the default options where
// options says nothing. name must be new.
func (p *Platform) Job(ctx context.Context, name string, address database.Address, options domain.BackupOptions) (*Job, error) {
	return p.JobOf(ctx, name, domain.Postgres, domain.ConnectionConfig{
		Host: address.Host, Port: address.Port, Database: address.Name, Username: address.User, Password: address.Password,
	}, options)
}

// FilesJob is Job for a directory.
func (p *Platform) FilesJob(ctx context.Context, name, path string, options domain.BackupOptions) (*Job, error) {
	return p.JobOf(ctx, name, domain.Files, domain.ConnectionConfig{SourcePath: path}, options)
}

// JobOf is Job for a datasource of any type.
func (p *Platform) JobOf(ctx context.Context, name string, kind domain.DatasourceType, config domain.ConnectionConfig, options domain.BackupOptions) (*Job, error) {
	j := &Job{platform: p, name: name, dir: filepath.Join(p.dir, storageFolder, name)}
	source, err := p.api.Datasources.Create(ctx, client.DatasourceDocument{Name: name, Type: kind, Pool: pool, ConnectionConfig: config})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	storage, err := p.api.StorageLocations.Create(ctx, client.StorageLocationDocument{
		Name: name, Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: j.dir},
	})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	// The test waits until the worker serves its pool.
	check, err := p.api.TestDatasource(ctx, source.ID)
	if err == nil && check.Status != domain.HealthOK {
		err = fmt.Errorf("%s: %s %s", check.Status, check.Message, check.Hint)
	}
	if err != nil {
		return nil, fmt.Errorf("bench: test of the datasource: %w: %s", err, p.worker.tail())
	}
	job, err := p.api.BackupJobs.Create(ctx, client.BackupJobDocument{
		Name: name, DatasourceID: source.ID, StorageLocationID: storage.ID, BackupOptions: options,
		// What a round stored stays until the case ends: deleting is not what is measured.
		RetentionPolicy: &domain.RetentionPolicy{AutoDelete: false},
	})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	j.source, j.storage, j.id = source.ID, storage.ID, job.ID
	return j, nil
}

// Dir is the directory of the job's storage location.
func (j *Job) Dir() string { return j.dir }

// BackUp runs the job once. Of what it stored, only files that are new on the disk count.
func (j *Job) BackUp(ctx context.Context) (measure.Run, Backup, error) {
	before, err := measure.Files(j.dir)
	if err != nil {
		return measure.Run{}, Backup{}, err
	}
	r, done, err := j.platform.timed(ctx, func() (client.Execution, error) { return j.platform.api.RunJob(ctx, j.id, nil) })
	if err != nil {
		return r, Backup{}, err
	}
	after, err := measure.Files(j.dir)
	if err != nil {
		return r, Backup{}, err
	}
	r.Stored = measure.Grown(before, after)
	r.Added, err = j.added(ctx, done.ID, before)
	return r, Backup{ID: done.ID, Type: done.BackupType, Bytes: done.SizeBytes}, err
}

// added are the plain bytes of a backup's chunks whose objects were not among the files before.
func (j *Job) added(ctx context.Context, execution string, before map[string]int64) (total int64, err error) {
	chunks, err := j.platform.api.Chunks(ctx, execution)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	old := make(map[string]bool, len(before))
	for path := range before {
		id, _, _ := strings.Cut(filepath.Base(path), ".")
		old[filepath.Base(filepath.Dir(filepath.Dir(path)))+"/"+id] = true // generation, two digits, id
	}
	for _, c := range chunks {
		if !old[c.Generation+"/"+c.ID] {
			total += c.PlainBytes
		}
	}
	return total, nil
}

// timed asks for an execution and waits for its end: the wall time is what the client sees.
func (p *Platform) timed(ctx context.Context, ask func() (client.Execution, error)) (r measure.Run, done client.Execution, err error) {
	r, err = p.around(func() error {
		queued, err := ask()
		if err == nil {
			done, err = p.api.WaitExecution(ctx, queued.ID, nil)
		}
		return err
	})
	if err == nil && done.Status != domain.Completed {
		err = fmt.Errorf("bench: the execution is %s: %s %s", done.Status, done.ErrorMessage, done.Metadata.Hint)
	}
	if err == nil {
		r.Running = done.FinishedAt.Sub(*done.StartedAt)
	}
	return r, done, err
}

// around measures what the platform does while work waits for it.
func (p *Platform) around(work func() error) (r measure.Run, err error) {
	if err := measure.ForgetPeak(p.worker.pid()); err != nil {
		return r, err
	}
	worker, support, err := p.spent()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := work(); err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	r.Wall = time.Since(began)
	workerAfter, supportAfter, err := p.spent()
	if err != nil {
		return r, err
	}
	r.CPU, r.Support = workerAfter-worker, supportAfter-support
	r.PeakRSS, err = measure.PeakRSS(p.worker.pid())
	return r, err
}

// spent is the processor time so far of the worker with its tools, and of everything around it:
// API, Temporal, catalogue.
func (p *Platform) spent() (worker, support time.Duration, err error) {
	if worker, err = measure.CPU(p.worker.pid()); err != nil {
		return 0, 0, err
	}
	up, err := measure.CPU(p.up.pid())
	if err != nil {
		return 0, 0, err
	}
	catalogue, err := measure.TreeCPU(p.catalogue.PID())
	return worker, up + catalogue, err
}
