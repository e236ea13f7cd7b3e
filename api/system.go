package api

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"
)

// ComponentHealth is whether one thing that the API needs answers.
type ComponentHealth struct {
	Status    string `json:"status" enum:"ok,unreachable"`
	LatencyMS int64  `json:"latency_ms"`
}

// PlatformHealth is whether what the API needs answers.
type PlatformHealth struct {
	Status   string          `json:"status" enum:"ok,unreachable" doc:"ok when everything is"`
	Database ComponentHealth `json:"database"`
	Temporal ComponentHealth `json:"temporal"`
}

// SystemInfo names the version.
type SystemInfo struct {
	Version       string `json:"version"`
	GoVersion     string `json:"go_version"`
	TemporalUIURL string `json:"temporal_ui_url,omitempty"`
}

const (
	healthOK          = "ok"
	healthUnreachable = "unreachable"
	probeTimeout      = 3 * time.Second
)

func (s *server) registerSystem() {
	tags := []string{"System"}
	register(s, ownThings(), huma.Operation{
		OperationID: "get-version", Method: http.MethodGet, Path: "/api/version", Tags: tags, Summary: "Version of the program",
	}, func(context.Context, *empty) (*body[SystemInfo], error) {
		return &body[SystemInfo]{SystemInfo{Version: s.opts.Version, GoVersion: runtime.Version(), TemporalUIURL: s.opts.TemporalUIURL}}, nil
	})
	s.route("/healthz", public("probes of the platform have no session; it says only that the process answers"), func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"status": healthOK})
	})
	s.route("/readyz", public("probes of the platform have no session; it says only what is up"), s.ready)
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newExecutionMetrics(s))
	scrape := promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{Registry: s.metrics})
	s.route("/metrics", public("Prometheus has no session; it holds counts, no names and no secrets"), func(c *gin.Context) {
		scrape.ServeHTTP(c.Writer, c.Request)
	})
}

// ready answers 503 until Postgres and Temporal answer, so that no traffic is sent here before.
func (s *server) ready(c *gin.Context) {
	health, status := s.probe(c.Request.Context()), http.StatusOK
	if health.Status != healthOK {
		status = http.StatusServiceUnavailable
	}
	c.JSON(status, health)
}

func (s *server) probe(ctx context.Context) PlatformHealth {
	h := PlatformHealth{
		Status:   healthOK,
		Database: s.probeOne(ctx, "Postgres", s.db.Ping),
		Temporal: s.probeOne(ctx, "Temporal", func(ctx context.Context) error {
			_, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
			return err
		}),
	}
	if h.Database.Status != healthOK || h.Temporal.Status != healthOK {
		h.Status = healthUnreachable
	}
	return h
}

func (s *server) probeOne(ctx context.Context, name string, ping func(context.Context) error) ComponentHealth {
	ctx, stop := context.WithTimeout(ctx, probeTimeout)
	defer stop()
	started := time.Now()
	err := ping(ctx)
	result := ComponentHealth{Status: healthOK, LatencyMS: time.Since(started).Milliseconds()}
	if err != nil {
		s.log.WarnContext(ctx, "health probe failed", "component", name, "error", err)
		result.Status = healthUnreachable
	}
	return result
}
