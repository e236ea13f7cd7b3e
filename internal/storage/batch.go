package storage

import (
	"context"
	"errors"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// BatchDeleter is what a store can do besides whose service removes many objects with one request.
type BatchDeleter interface {
	// DeleteMany removes objects; what is not there is no error. The objects that the service refuses
	// to remove do not keep the others: the error joins what was refused.
	DeleteMany(ctx context.Context, keys []string) error
}

// DeleteMany removes objects with as few requests as the store can.
func DeleteMany(ctx context.Context, store Store, keys []string) error {
	if batch, ok := store.(BatchDeleter); ok {
		return batch.DeleteMany(ctx, keys)
	}
	var refused error
	for _, key := range keys {
		err := store.Delete(ctx, key)
		if err != nil && !failure.IsPermanent(failure.ClassOf(err)) {
			return errors.Join(refused, err)
		}
		refused = errors.Join(refused, err)
	}
	return refused
}
