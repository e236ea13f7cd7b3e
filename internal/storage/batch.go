package storage

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// BatchDeleter is what a store can do besides whose service removes many objects with one request.
type BatchDeleter interface {
	// DeleteMany removes objects; what is not there is no error. The objects that the service refuses
	// to remove do not keep the others: the error joins what was refused.
	DeleteMany(ctx context.Context, keys []string) error
}

// parallelDeletes is how many single deletes are under way where there are no others.
const parallelDeletes = 8

// DeleteMany removes objects with as few requests as the store can, in any order. Objects that the
// store refuses to remove do not keep the others.
func DeleteMany(ctx context.Context, store Store, keys []string) error {
	if batch, ok := store.(BatchDeleter); ok {
		return batch.DeleteMany(ctx, keys)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelDeletes)
	var mu sync.Mutex
	var refused error
	for _, key := range keys {
		group.Go(func() error {
			err := store.Delete(ctx, key)
			if err == nil || !failure.IsPermanent(failure.ClassOf(err)) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			refused = errors.Join(refused, err)
			return nil
		})
	}
	return errors.Join(group.Wait(), refused)
}
