// Package open opens a storage location from its configuration. It is the one list of backends and
// the one place where decorators are stacked.
package open

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/limit"
	"github.com/dataguardian/dataguardian/internal/storage/local"
	"github.com/dataguardian/dataguardian/internal/storage/retry"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/ssh"
)

// Opener opens stores that share the limits of their locations. A process has one; the zero value is
// ready.
type Opener struct{ writes limit.Writes }

// Open returns the store of a location for one use of it. The caller closes it. A type without a
// backend is failure.Unsupported.
func (o *Opener) Open(
	ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig, use storage.Use,
) (storage.Store, error) {
	backend, err := openBackend(ctx, kind, config, use)
	if err != nil {
		return nil, err
	}
	return o.decorate(backend, config, use), nil
}

// decorate stacks the decorators. Retry is outermost: every try is limited, and who waits for the
// location to come back has given up its turn to write.
func (o *Opener) decorate(store storage.Store, config domain.StorageConfig, use storage.Use) storage.Store {
	if use.LocationID != "" {
		store = o.writes.Store(store, use.LocationID, config.Uploads())
	}
	if use.BandwidthMbps > 0 {
		store = limit.NewBandwidth(store, use.BandwidthMbps)
	}
	return retry.New(store, retry.Options{Outage: use.Patience})
}

// Open opens a location for somebody who is alone with it.
func Open(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig) (storage.Store, error) {
	return new(Opener).Open(ctx, kind, config, storage.Use{})
}

// OpenToRead opens a location for somebody who is alone with it and writes nothing, as a recovery. Errors
// besides those of Open: NotFound for a directory that is not there.
func OpenToRead(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig) (storage.Store, error) {
	return new(Opener).Open(ctx, kind, config, storage.Use{Reading: true})
}

func openBackend(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig, use storage.Use) (storage.Store, error) {
	switch kind {
	case domain.StorageLocal:
		return local.Open(ctx, local.Options{Root: config.Path, MaxBytes: config.MaxBytes(), Reading: use.Reading})
	case domain.StorageSSH:
		opts := ssh.OptionsOf(config)
		opts.Patience, opts.Reading = patience(use), use.Reading
		return ssh.Open(ctx, opts)
	case domain.StorageS3, domain.StorageMinIO, domain.StorageBackblaze:
		return openS3(ctx, kind, config, use)
	default:
		return nil, failure.New(failure.Unsupported, "open storage",
			fmt.Sprintf("this version has no backend for storage type %q", kind), "Use a storage location of another type.")
	}
}

// requestPatience is how long a backend itself tries one request again. Outages are waited out around it.
const requestPatience = 5 * time.Second

func patience(use storage.Use) time.Duration {
	if use.Patience > 0 {
		return min(requestPatience, use.Patience)
	}
	return requestPatience
}

func openS3(ctx context.Context, kind domain.StorageLocationType, config domain.StorageConfig, use storage.Use) (storage.Store, error) {
	opts, err := s3.OptionsOf(kind, config)
	if err != nil {
		return nil, err
	}
	opts.Patience = patience(use)
	return s3.Open(ctx, opts)
}
