// Package platform runs DataGuardian under measurement: `up` with Temporal and the API, and one
// `worker` that is a process of its own, so that its memory can be told from everybody else's. All
// work is asked for over the REST API, as a client would.
package platform

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

const (
	// pool is served by the measured worker only; the one inside `up` serves the default pool.
	pool = "bench"
	// storageFolder holds the storage locations, a folder each.
	storageFolder = "storage"
	// readyTimeout bounds the start of `up`.
	readyTimeout = time.Minute
)

// Platform is a running DataGuardian. Its catalogue is on a Postgres server of its own, so that what
// it costs can be told from the server that is backed up.
type Platform struct {
	dir, binary       string
	environment       []string // of every subcommand
	workerEnvironment []string // of every worker, besides
	baseURL           string
	catalogue         *postgres.Server
	up, worker        *process
	api               *client.Client
}

// Start starts everything below dir with the built program at binary. binDir holds the PostgreSQL
// client tools. The caller stops it.
func Start(ctx context.Context, binary, dir, binDir string) (_ *Platform, err error) {
	p := &Platform{dir: dir}
	defer func() {
		if err != nil {
			_ = p.Stop()
		}
	}()
	if p.binary, err = filepath.Abs(binary); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if p.catalogue, err = postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(dir, "catalogue")}); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	catalogue, err := p.catalogue.EnsureDatabase(ctx, "dataguardian")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, storageFolder), 0o755); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	p.environment = []string{
		"DATABASE_URL=" + catalogue, "DATAGUARDIAN_MASTER_KEY=" + base64.StdEncoding.EncodeToString(key),
		"DATAGUARDIAN_CLIENT_TOOLS_PATH=" + binDir + string(filepath.ListSeparator) + "/usr/bin", // MariaDB's are there
	}
	p.up, err = p.start("up", "DATAGUARDIAN_DATA_DIR="+filepath.Join(dir, "data"),
		"DATAGUARDIAN_LISTEN=127.0.0.1:"+ports[0], "DATAGUARDIAN_TEMPORAL_PORT="+ports[1], "DATAGUARDIAN_TEMPORAL_UI_PORT="+ports[2])
	if err != nil {
		return nil, err
	}
	p.baseURL = "http://127.0.0.1:" + ports[0]
	p.api = client.New(p.baseURL)
	if err := p.setUp(ctx); err != nil {
		return nil, err
	}
	p.workerEnvironment = []string{"TEMPORAL_ADDRESS=127.0.0.1:" + ports[1], "DATAGUARDIAN_POOLS=" + pool, "DATAGUARDIAN_HOOK_COMMANDS=" + sleeping}
	p.worker, err = p.start("worker", p.workerEnvironment...)
	return p, err
}

// setUp waits for the API and creates the owner.
func (p *Platform) setUp(ctx context.Context) error {
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
		case <-p.up.done:
			return fmt.Errorf("bench: `dataguardian up` ended before it was ready: %s", p.up.tail())
		case <-ctx.Done():
			return fmt.Errorf("bench: `dataguardian up` does not answer: %w: %s", err, p.up.tail())
		}
	}
	if _, err := p.api.Setup(ctx, "bench@example.org", "Bench", rand.Text()); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// Stop ends the processes, the last one started first.
func (p *Platform) Stop() error {
	for _, started := range []*process{p.worker, p.up} {
		if started != nil {
			started.stop()
		}
	}
	if p.catalogue == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := p.catalogue.Stop(ctx); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

func (p *Platform) start(subcommand string, variables ...string) (*process, error) {
	return startProcess(p.dir, subcommand, p.binary, append(variables, p.environment...)...)
}

// freePorts finds ports that nobody uses now, all different.
func freePorts(count int) (ports []string, err error) {
	for range count {
		listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			return nil, fmt.Errorf("bench: %w", listenErr)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
