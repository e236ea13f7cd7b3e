// Package integration runs the product against real servers: Postgres, Temporal, disks and child
// processes, started once for the test binary on free ports of 127.0.0.1.
package integration

import (
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/activities"
	"github.com/dataguardian/dataguardian/api"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
	"github.com/dataguardian/dataguardian/worker"
	"github.com/dataguardian/dataguardian/workflows"
)

const (
	ownerEmail    = "owner@example.com"
	ownerPassword = "integration-tests-only"
)

// platform is the product with the servers it needs, as `up` composes it, in this process.
type platform struct {
	dir       string
	postgres  *postgres.Server
	temporal  *temporalserver.Server
	keyFile   string
	catalogue string // URL of the platform's own database
	db        *db.DB
	dialled   temporal.Client
	server    *httptest.Server
	owner     *client.Client
	pool      string // that its worker serves
	mu        sync.Mutex
	closers   []func()
}

// shared is the platform of this test binary.
var shared *platform

// patience is how long a test waits for what is to come: more than it ever takes on a machine that does everything else besides.
const patience = 3 * time.Minute

// impatient makes workflows notice lost workers as quickly as tuning makes activities do; pools without any, after more than a busy
// machine takes.
func impatient() {
	workflows.SetPatience(workflows.Patience{Silence: 8 * time.Second, NoWorker: 12 * time.Second})
}

// tuning is DefaultTuning made impatient, so that lost workers and dead hosts are noticed quickly.
func tuning() activities.Tuning {
	t := activities.DefaultTuning()
	t.Attempts, t.Heartbeat, t.ProgressEvery = 3, 5*time.Second, 100*time.Millisecond
	return t
}

func TestMain(m *testing.M) {
	impatient()
	if len(os.Args) > 1 && os.Args[1] == mongotool.Name { // the child of engine mongodb, as in main
		os.Exit(mongotool.Run(os.Args[2:]))
	}
	if os.Getenv(cliEnv) != "" {
		os.Exit(runCLI())
	}
	if os.Getenv(workerEnv) != "" {
		os.Exit(runWorkerProcess())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := startPlatform(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration: the platform did not start:", err)
		return 1
	}
	defer p.close()
	shared = p
	// These tests wait for servers, clocks and each other more than they compute: as many as there are processors would leave
	// those idle. -parallel wins.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := p.replayEverything(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
			return 1
		}
	}
	return code
}

func startPlatform(ctx context.Context) (_ *platform, err error) {
	p := &platform{pool: domain.DefaultPool}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.dir, err = os.MkdirTemp("", "dataguardian-integration-"); err != nil {
		return nil, err
	}
	p.onClose(func() { _ = os.RemoveAll(p.dir) })
	// The private Postgres runs as another user when the tests run as root.
	if err := os.Chmod(p.dir, 0o755); err != nil { //nolint:gosec // see above
		return nil, err
	}
	if err := p.startServers(ctx); err != nil {
		return nil, err
	}
	if err := p.startProduct(ctx); err != nil {
		return nil, err
	}
	return p, p.signUp(ctx)
}

func (p *platform) startServers(ctx context.Context) (err error) {
	p.postgres, err = postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(p.dir, "postgres"), NoSync: true})
	if err != nil {
		return err
	}
	p.onClose(func() { _ = p.postgres.Stop(context.Background()) })
	if p.catalogue, err = p.postgres.EnsureDatabase(ctx, "dataguardian"); err != nil {
		return err
	}
	p.temporal, err = temporalserver.Start(ctx, temporalserver.Options{InMemory: true, UIPort: temporalserver.NoUI})
	if err != nil {
		return err
	}
	p.onClose(func() { p.temporal.Stop(context.Background()) })
	return nil
}

func (p *platform) startProduct(ctx context.Context) error {
	if err := p.startAPI(ctx); err != nil {
		return err
	}
	stop, err := p.startWorker(worker.Options{Pools: []string{p.pool}})
	p.onClose(stop)
	return err
}

// startAPI is the product without a worker.
func (p *platform) startAPI(ctx context.Context) (err error) {
	if err := db.Migrate(ctx, p.catalogue); err != nil {
		return err
	}
	p.keyFile = filepath.Join(p.dir, "master.key")
	key, err := db.LoadOrCreateKeyFile(p.keyFile)
	if err != nil {
		return err
	}
	if p.db, err = db.Open(ctx, db.Config{URL: p.catalogue, MasterKey: key}); err != nil {
		return err
	}
	p.onClose(p.db.Close)
	if p.dialled, err = dialTemporal(ctx, p.temporal.Address()); err != nil {
		return err
	}
	p.onClose(p.dialled.Close)
	handler, err := api.New(api.Options{
		DB: p.db, Temporal: p.dialled, Namespace: temporalserver.DefaultNamespace, Version: "test", Logger: quiet(),
	})
	if err != nil {
		return err
	}
	p.server = httptest.NewServer(handler)
	p.onClose(p.server.Close)
	return nil
}

// startWorker runs a worker in this process until stop is called.
func (p *platform) startWorker(o worker.Options) (stop func(), err error) {
	o.DB, o.Temporal, o.Logger = p.db, p.dialled, quiet()
	if o.Tuning == (activities.Tuning{}) {
		o.Tuning = tuning()
	}
	if o.DataListen == "" {
		o.DataListen = "127.0.0.1:0"
	}
	w, err := worker.New(o)
	if err != nil {
		return func() {}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "integration: worker:", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

func (p *platform) signUp(ctx context.Context) error {
	p.owner = client.New(p.server.URL)
	if _, err := p.owner.Setup(ctx, ownerEmail, "Owner", ownerPassword); err != nil {
		return err
	}
	_, err := p.owner.Login(ctx, ownerEmail, ownerPassword)
	return err
}

// onClose may be called by tests that run beside each other: the first that needs a server starts it for all.
func (p *platform) onClose(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closers = append(p.closers, fn)
}

func (p *platform) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i]()
	}
	p.closers = nil
}

func dialTemporal(ctx context.Context, address string) (temporal.Client, error) {
	return temporalclient.Dial(ctx, temporalclient.Options{Address: address, Namespace: temporalserver.DefaultNamespace})
}

// quiet logs to stderr when DG_TEST_LOG is set, else nowhere.
func quiet() *slog.Logger {
	out := io.Discard
	if os.Getenv("DG_TEST_LOG") != "" {
		out = os.Stderr
	}
	return slog.New(slog.NewTextHandler(out, nil))
}

// admin connects to a database of the private Postgres as its superuser.
func (p *platform) admin(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.postgres.DatabaseURL(database))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// hasDatabase reports whether the private Postgres has a database of that name.
func (p *platform) hasDatabase(t *testing.T, name string) bool {
	t.Helper()
	var found bool
	err := p.admin(t, "postgres").QueryRow(t.Context(), "select exists (select from pg_database where datname = $1)", name).Scan(&found)
	require.NoError(t, err)
	return found
}

// unique makes a name from the test's own, so that tests do not meet.
func unique(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
	if len(name) > 40 { // two tests may end alike
		name = fmt.Sprintf("%08x%s", crc32.ChecksumIEEE([]byte(name)), name[len(name)-32:])
	}
	return "t_" + strings.Trim(name, "_")
}
