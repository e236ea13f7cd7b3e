package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// usageFresh is how long a walk of the tree counts as true. In between, this process adds and
// subtracts what it does itself; what other workers store is seen at the next walk.
const usageFresh = 5 * time.Minute

// quota limits the bytes of all objects and remembers how many there are.
type quota struct {
	max int64 // 0 is no limit

	mu       sync.Mutex
	used     int64
	measured time.Time
}

// used returns the bytes of all objects, at most usageFresh old.
func (s *Store) used(ctx context.Context) (int64, error) {
	q := &s.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.measured.IsZero() && time.Since(q.measured) < usageFresh {
		return q.used, nil
	}
	var total int64
	err := s.walk(ctx, ".", "", func(o storage.Object) error {
		total += o.Size
		return nil
	})
	if err != nil {
		return 0, err
	}
	q.used, q.measured = total, time.Now()
	return total, nil
}

// reserve counts size bytes as used, or refuses them. Without a quota nothing is measured here, so
// that a Put costs no walk; the walk of Usage then starts afresh.
func (s *Store) reserve(ctx context.Context, op, key string, size int64) error {
	if s.quota.max == 0 {
		s.release(-size)
		return nil
	}
	if _, err := s.used(ctx); err != nil {
		return classify(op, key, err)
	}
	s.quota.mu.Lock()
	defer s.quota.mu.Unlock()
	if s.quota.used+size > s.quota.max {
		return storage.FullError(op, key, fmt.Sprintf("%d bytes are used of the quota of %d, %d more are needed",
			s.quota.used, s.quota.max, size))
	}
	s.quota.used += size
	return nil
}

// release counts size bytes as free again; a negative size takes them.
func (s *Store) release(size int64) {
	s.quota.mu.Lock()
	defer s.quota.mu.Unlock()
	s.quota.used = max(0, s.quota.used-size)
}
