package ssh

import (
	"context"
	"maps"
	"time"
)

// Settle is what Sync does at its end when a connection broke since losses were counted.
func (s *Store) Settle(ctx context.Context, losses int64) error {
	return s.settle(ctx, maps.Clone(s.fresh.objects), []string{"."}, losses)
}

// Losses counts the connections that ended.
func (s *Store) Losses() int64 { return s.link.Losses() }

// Unsynced counts what waits for a Sync.
func (s *Store) Unsynced() int { return len(s.fresh.objects) }

// MaxUnsynced is how many wait at most.
const MaxUnsynced = maxUnsynced

// CountFor sets how long Usage counts.
func (s *Store) CountFor(d time.Duration) { s.usage.longest = d }
