// Package open opens a storage location from its configuration. It is the one list of backends and
// the one place where decorators are stacked.
package open

import (
	"context"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
)

// Open returns the store of a location: the backend of its type, repeated where trying again may
// help. The caller closes it. A type without a backend is failure.Unsupported.
func Open(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig) (storage.Store, error) {
	backend, err := openBackend(ctx, kind, config)
	if err != nil {
		return nil, err
	}
	return retry.New(backend, retry.Options{}), nil
}

func openBackend(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig) (storage.Store, error) {
	switch kind {
	case domain.StorageLocal:
		return local.Open(ctx, local.Options{Root: config.Path, MaxBytes: config.MaxBytes()})
	case domain.StorageS3, domain.StorageMinIO, domain.StorageBackblaze:
		return openS3(ctx, kind, config)
	default:
		return nil, failure.New(failure.Unsupported, "open storage",
			fmt.Sprintf("this version has no backend for storage type %q", kind), "Use a storage location of another type.")
	}
}

func openS3(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig) (storage.Store, error) {
	opts, err := s3.OptionsOf(kind, config)
	if err != nil {
		return nil, err
	}
	return s3.Open(ctx, opts)
}
