package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// PreviewSchedule is when a cron would run the next ten times, in its time zone.
func (c *Client) PreviewSchedule(ctx context.Context, cron, timeZone string) ([]time.Time, error) {
	var out struct {
		NextRuns []time.Time `json:"next_runs"`
	}
	err := c.call(ctx, http.MethodGet, "/api/schedules/preview", url.Values{"cron": {cron}, "timezone": {timeZone}}, nil, &out)
	return out.NextRuns, err
}
