// Package api is the REST API: it validates, authorises, audits, writes Postgres, and starts or
// cancels workflows. It never touches a datasource or a storage location itself; only workers have
// the network path, the client tools and the disks.
//
// One file a resource. Operations are added with register, which makes them declare who may call
// them; errors are explained in one place and answered as application/problem+json.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/api/middleware"
	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/auth/oidc"
)

// maxBodyBytes bounds every request body: configuration is small.
const maxBodyBytes = 1 << 20

const (
	defaultBodyTimeout = 10 * time.Second
	defaultTestTimeout = 60 * time.Second
	startTimeout       = 10 * time.Second // to reach Temporal for a start or a cancel
	writeLimit         = 10 * time.Minute // for an answer to be taken; streams set limits of their own, piece by piece
	describeTimeout    = 3 * time.Second  // to ask Temporal what became of a start
)

// Options are what the API is made of.
type Options struct {
	DB        *db.DB
	Temporal  client.Client
	Namespace string // of Temporal, for links; default "default"
	// TemporalUIURL is the base address of the Temporal web UI, "" for no links.
	TemporalUIURL string
	Version       string // of the program
	Logger        *slog.Logger
	// TestTimeout is how long a connection test is waited for; default 60 s.
	TestTimeout time.Duration
	// RequestTimeout is how long an operation that waits for no worker may take; default 30 s. Streams may go on.
	RequestTimeout time.Duration
	// BodyTimeout is how long a request body may take to arrive; default 10 s.
	BodyTimeout time.Duration
	// TrustedProxies are addresses or networks whose X-Forwarded-For is believed; default none.
	TrustedProxies []string
	// CORSOrigins are the origins (https://host:port) whose pages browsers let use the API; default none.
	CORSOrigins []string
	// LoginLimits are the throttle of the sign-in; the zero value is auth.DefaultThrottleLimits.
	LoginLimits auth.ThrottleLimits
	// SessionIdle ends a session that is not used for so long (default 12 h); SessionLife ends
	// every session (default 30 days).
	SessionIdle, SessionLife time.Duration
	// OIDC is the provider through which people may sign in; nil for none.
	OIDC *oidc.Provider
}

type server struct {
	opts      Options
	db        *db.DB
	temporal  client.Client
	log       *slog.Logger
	engine    *gin.Engine
	api       huma.API
	declared  map[string]access // "METHOD /gin/:path"
	passwords *auth.Passwords
	throttle  *auth.Throttle
	metrics   *prometheus.Registry
	events    *hub
	refusals  *refusals

	notifications *hub
}

// New builds the API and seeds the system roles. The handler holds no goroutine of its own while no
// client reads events; streams end when their request's context does, so cancel the server's base
// context on shutdown.
func New(o Options) (http.Handler, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.db.SeedAccess(ctx, auth.RoleNames()); err != nil {
		return nil, fmt.Errorf("seed roles and permissions: %w", err)
	}
	return s.engine, nil
}

func newServer(o Options) (*server, error) {
	o.setDefaults()
	passwords, err := auth.NewPasswords()
	if err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	useProblems()
	s := &server{
		opts: o, db: o.DB, temporal: o.Temporal, log: o.Logger,
		engine:    gin.New(),
		declared:  make(map[string]access),
		passwords: passwords,
		throttle:  auth.NewThrottle(o.LoginLimits, nil),
		metrics:   prometheus.NewRegistry(),
	}
	s.refusals = newRefusals(refusalWindow, s.writeRefusal)
	s.events = newHub(func(ctx context.Context) (<-chan string, error) { return s.db.ListenExecutions(ctx) }, o.Logger)
	s.notifications = newHub(func(ctx context.Context) (<-chan string, error) { return s.db.ListenNotifications(ctx) }, o.Logger)
	if err := s.prepareEngine(); err != nil {
		return nil, err
	}
	s.api = humagin.New(s.engine, humaConfig())
	s.registerOperations()
	s.documentAsked()
	s.documentNulls()
	if err := s.addExamples(); err != nil {
		return nil, err
	}
	s.boundLists()
	s.serveDocs()
	return s, nil
}

// registerOperations adds every operation, a file of operations a line.
func (s *server) registerOperations() {
	s.registerAuth()
	s.registerOIDC()
	s.registerSessions()
	s.registerPassword()
	s.registerTokens()
	s.registerUsers()
	s.registerUserSessions()
	s.registerRoles()
	s.registerAuditLogs()
	s.registerScopeRules()
	s.registerApprovals()
	s.registerDatasources()
	s.registerStorageLocations()
	s.registerStorageImport()
	s.registerStorageDraft()
	s.registerStorageFiles()
	s.registerBackupJobs()
	s.registerSchedules()
	s.registerRetention()
	s.registerHealth()
	s.registerSyncJobs()
	s.registerDrillJobs()
	s.registerExecutions()
	s.registerExecutionEvents()
	s.registerDeletion()
	s.registerReplication()
	s.registerReconcile()
	s.registerBackups()
	s.registerRestore()
	s.registerVerification()
	s.registerDamage()
	s.registerSystem()
	s.registerSettings()
	s.registerDashboard()
	s.registerRetry()
	s.registerRecoveryKeys()
	s.registerConfig()
	s.registerNotifications()
	s.registerNotificationChannels()
	s.registerNotificationTemplates()
}

func (o *Options) setDefaults() {
	if o.Namespace == "" {
		o.Namespace = client.DefaultNamespace
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TestTimeout <= 0 {
		o.TestTimeout = defaultTestTimeout
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.BodyTimeout <= 0 {
		o.BodyTimeout = defaultBodyTimeout
	}
	if o.LoginLimits == (auth.ThrottleLimits{}) {
		o.LoginLimits = auth.DefaultThrottleLimits()
	}
	if o.SessionIdle <= 0 {
		o.SessionIdle = 12 * time.Hour
	}
	if o.SessionLife <= 0 {
		o.SessionLife = 30 * 24 * time.Hour
	}
}

func (s *server) prepareEngine() error {
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false
	s.engine.RemoteIPHeaders = []string{"X-Forwarded-For"} // which proxies append to; another would come from the client as it is
	if err := s.engine.SetTrustedProxies(s.opts.TrustedProxies); err != nil {
		return fmt.Errorf("trusted proxies: %w", err)
	}
	s.engine.Use(
		middleware.Identify(),
		middleware.AccessLog(s.log),
		middleware.Metrics(s.metrics),
		middleware.Recover(s.log),
		middleware.SecurityHeaders(),
		middleware.CORS(s.opts.CORSOrigins),
		middleware.LimitBody(maxBodyBytes),
		middleware.LimitWrite(writeLimit),
	)
	s.engine.NoRoute(func(c *gin.Context) {
		problem.New(http.StatusNotFound, "There is no such path; "+docsPath+" lists those there are.").Write(c.Writer)
	})
	s.engine.NoMethod(func(c *gin.Context) {
		problem.New(http.StatusMethodNotAllowed, "This path does not take "+c.Request.Method+"; the Allow header lists what it takes.").Write(c.Writer)
	})
	return nil
}
