package api

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// executionMetrics reads the executions by operation and status from the database when it is
// scraped, so that every API process tells the same and a restart loses nothing.
type executionMetrics struct {
	server *server
	counts *prometheus.Desc
	up     *prometheus.Desc
}

func newExecutionMetrics(s *server) *executionMetrics {
	return &executionMetrics{
		server: s,
		counts: prometheus.NewDesc("dataguardian_executions", "Executions that are queued or running, and those created in the last 24 hours that have ended.", []string{"operation", "status"}, nil),
		up:     prometheus.NewDesc("dataguardian_database_up", "1 when the catalogue could be read.", nil, nil),
	}
}

// Describe names the metrics.
func (m *executionMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.counts
	out <- m.up
}

// Collect reads them. A database that does not answer is told by dataguardian_database_up.
func (m *executionMetrics) Collect(out chan<- prometheus.Metric) {
	ctx, stop := context.WithTimeout(context.Background(), probeTimeout)
	defer stop()
	rows, err := m.server.db.CountExecutions(ctx)
	if err != nil {
		m.server.log.Warn("executions could not be counted for metrics", "error", err)
		out <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, 0)
		return
	}
	out <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, 1)
	for _, row := range rows {
		out <- prometheus.MustNewConstMetric(m.counts, prometheus.GaugeValue, float64(row.Count), string(row.Operation), string(row.Status))
	}
}
