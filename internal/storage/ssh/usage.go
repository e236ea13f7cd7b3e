package ssh

import (
	"context"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// usageFresh is how long a walk of the tree counts as true. In between, this process adds and subtracts
// what it does itself; what other workers store is seen at the next walk.
const usageFresh = 5 * time.Minute

// usage remembers how many bytes all objects have.
type usage struct {
	mu       sync.Mutex
	bytes    int64
	measured time.Time
}

// add counts bytes as used; a negative number frees them.
func (u *usage) add(bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes = max(0, u.bytes+bytes)
}

// used returns the bytes of all objects, at most usageFresh old.
func (s *Store) used(ctx context.Context) (int64, error) {
	u := &s.usage
	u.mu.Lock()
	bytes, measured := u.bytes, u.measured
	u.mu.Unlock()
	if !measured.IsZero() && time.Since(measured) < usageFresh {
		return bytes, nil
	}
	var total int64
	err := s.List(ctx, "", func(o storage.Object) error {
		total += o.Size
		return nil
	})
	if err != nil {
		return 0, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes, u.measured = total, time.Now()
	return total, nil
}
