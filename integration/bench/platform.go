package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	// pool is served by the measured worker only; the one inside `up` serves the default pool.
	pool = "bench"
	// readyTimeout bounds the start of `up`.
	readyTimeout = time.Minute
)

// platform is DataGuardian under measurement: `up` with Temporal and the API, and one worker that
// is a process of its own, so that its memory can be told from everybody else's.
type platform struct {
	processes []*process
	worker    *process
	api       *client.Client
	job       string
}

func startPlatform(ctx context.Context, binary, dir string, database *database) (_ *platform, err error) {
	p := &platform{}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	binary, err = filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	catalogue, err := database.server.EnsureDatabase(ctx, "dataguardian")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	common := []string{
		"DATABASE_URL=" + catalogue, "DATAGUARDIAN_MASTER_KEY=" + base64.StdEncoding.EncodeToString(key),
		"DATAGUARDIAN_CLIENT_TOOLS_PATH=" + database.server.BinDir(),
	}
	up, err := p.start(dir, "up", binary, append(common, "DATAGUARDIAN_DATA_DIR="+filepath.Join(dir, "data"),
		"DATAGUARDIAN_LISTEN=127.0.0.1:"+ports[0], "DATAGUARDIAN_TEMPORAL_PORT="+ports[1], "DATAGUARDIAN_TEMPORAL_UI_PORT="+ports[2])...)
	if err != nil {
		return nil, err
	}
	p.api = client.New("http://127.0.0.1:" + ports[0])
	if err := p.setUp(ctx, up); err != nil {
		return nil, err
	}
	p.worker, err = p.start(dir, "worker", binary, append(common, "TEMPORAL_ADDRESS=127.0.0.1:"+ports[1], "DATAGUARDIAN_POOLS="+pool)...)
	if err != nil {
		return nil, err
	}
	return p, p.register(ctx, filepath.Join(dir, "storage"), database.address)
}

// setUp waits for the API and creates the owner.
func (p *platform) setUp(ctx context.Context, up *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := p.api.SetupNeeded(ctx)
		if err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-up.done:
			return fmt.Errorf("bench: `dataguardian up` ended before it was ready: %s", up.tail())
		case <-ctx.Done():
			return fmt.Errorf("bench: `dataguardian up` does not answer: %w: %s", err, up.tail())
		}
	}
	if _, err := p.api.Setup(ctx, "bench@example.org", "Bench", rand.Text()); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// register makes the job with the default options: zstd, encryption, quick verification.
func (p *platform) register(ctx context.Context, storageDir string, address databaseAddress) error {
	source, err := p.api.Datasources.Create(ctx, client.DatasourceDocument{
		Name: "pgbench", Type: domain.Postgres, Pool: pool,
		ConnectionConfig: domain.ConnectionConfig{
			Host: address.host, Port: address.port, Database: address.name, Username: address.user, Password: address.password,
		},
	})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	storage, err := p.api.StorageLocations.Create(ctx, client.StorageLocationDocument{
		Name: "disk", Type: domain.StorageLocal, Pool: pool, Config: domain.StorageConfig{Path: storageDir},
	})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	// The test waits until the worker serves its pool.
	check, err := p.api.TestDatasource(ctx, source.ID)
	if err == nil && check.Status != domain.HealthOK {
		err = fmt.Errorf("%s: %s %s", check.Status, check.Message, check.Hint)
	}
	if err != nil {
		return fmt.Errorf("bench: test of the datasource: %w: %s", err, p.worker.tail())
	}
	job, err := p.api.BackupJobs.Create(ctx, client.BackupJobDocument{Name: "bench", DatasourceID: source.ID, StorageLocationID: storage.ID})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	p.job = job.ID
	return nil
}

// backUp runs the job once.
func (p *platform) backUp(ctx context.Context) (m measurement, err error) {
	before, err := cpuTime(p.worker.pid())
	if err != nil {
		return m, err
	}
	began := time.Now()
	queued, err := p.api.RunJob(ctx, p.job, nil)
	if err != nil {
		return m, fmt.Errorf("bench: %w", err)
	}
	done, err := p.api.WaitExecution(ctx, queued.ID, nil)
	if err != nil {
		return m, fmt.Errorf("bench: %w", err)
	}
	m.Wall = time.Since(began)
	if done.Status != domain.Completed {
		return m, fmt.Errorf("bench: the backup is %s: %s %s", done.Status, done.ErrorMessage, done.Metadata.Hint)
	}
	m.Running, m.Stored = done.FinishedAt.Sub(*done.StartedAt), done.CompressedSizeBytes
	after, err := cpuTime(p.worker.pid())
	if err != nil {
		return m, err
	}
	m.CPU = after - before
	m.PeakRSS, err = peakRSS(p.worker.pid())
	return m, err
}

// stop ends the processes, the last one started first.
func (p *platform) stop() {
	for i := len(p.processes) - 1; i >= 0; i-- {
		p.processes[i].stop()
	}
}

// start starts a process that stop will end.
func (p *platform) start(dir, subcommand, binary string, variables ...string) (*process, error) {
	started, err := startProcess(dir, subcommand, binary, variables...)
	if err == nil {
		p.processes = append(p.processes, started)
	}
	return started, err
}

// freePorts finds ports that nobody uses now, all different.
func freePorts(count int) ([]string, error) {
	var ports []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
