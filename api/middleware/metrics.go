package middleware

import (
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times requests by method, route pattern and status. The pattern, not the
// path: ids would make a series of every resource.
func Metrics(registry prometheus.Registerer) gin.HandlerFunc {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dataguardian_http_requests_total",
		Help: "HTTP requests answered, by method, route and status.",
	}, []string{"method", "route", "status"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "dataguardian_http_request_duration_seconds",
		Help:    "Time to answer an HTTP request; event streams are left out.",
		Buckets: prometheus.DefBuckets,
	}, []string{"method", "route"})
	registry.MustRegister(requests, durations)
	return func(c *gin.Context) {
		started := time.Now()
		c.Next()
		route, method := c.FullPath(), c.Request.Method
		if route == "" {
			// Anything may be asked of a path that does not exist, with any method.
			route, method = "none", "any"
		}
		requests.WithLabelValues(method, route, strconv.Itoa(c.Writer.Status())).Inc()
		if c.Writer.Header().Get("Content-Type") != "text/event-stream" {
			durations.WithLabelValues(method, route).Observe(time.Since(started).Seconds())
		}
	}
}
