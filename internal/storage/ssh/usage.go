package ssh

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// usageFresh is how long a walk of the tree counts as true. In between, this process adds and subtracts
// what it does itself; what other workers store is seen at the next walk.
const usageFresh = 5 * time.Minute

// usageTime is the longest that a walk takes, as for S3: some hundred thousand objects.
const usageTime = 10 * time.Second

// usage remembers how many bytes all objects have.
type usage struct {
	mu       sync.Mutex
	bytes    int64 // negative: there were too many objects to count
	measured time.Time
	longest  time.Duration // of a walk; 0 is usageTime
}

// add counts bytes as used; a negative number frees them.
func (u *usage) add(bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes >= 0 {
		u.bytes = max(0, u.bytes+bytes)
	}
}

// used returns the bytes of all objects, at most usageFresh old. What takes longer to walk than usageTime, or
// than half of the caller's own time, is unknown, a negative number: many objects are no reason to say that
// the location does not work.
func (s *Store) used(ctx context.Context) (int64, error) {
	u := &s.usage
	u.mu.Lock()
	bytes, measured := u.bytes, u.measured
	limit := cmp.Or(u.longest, usageTime)
	u.mu.Unlock()
	if !measured.IsZero() && time.Since(measured) < usageFresh {
		return bytes, nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	var total int64
	end := time.Now().Add(limit)
	err := s.List(ctx, "", func(o storage.Object) error {
		total += o.Size
		if time.Now().After(end) {
			return errTooMany
		}
		return nil
	})
	switch {
	case errors.Is(err, errTooMany):
		total = -1
	case err != nil:
		return 0, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes, u.measured = total, time.Now()
	return total, nil
}

var errTooMany = errors.New("too many objects to count")
