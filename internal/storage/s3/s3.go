// Package s3 keeps objects in a bucket of Amazon S3 or of a service that speaks its protocol.
//
// An object is durable and visible when its upload returns, so Sync has nothing to do. Each request is
// tried again for a while (see patience), so a service that restarts fails no upload.
package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/semaphore"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// limits are sizes in bytes at which a transfer is done differently, and the length of a page.
type limits struct {
	single   int64 // the largest body that can be read again and goes in one request
	buffered int64 // the largest body that can not be read again and goes in one request
	part     int64 // of a multipart upload
	copyOne  int64 // the largest object that one request copies: the protocol's limit is 5 GiB
	copyPart int64
	memory   int64 // of all bodies held in memory
	page     int32 // entries of a listing in one answer; 0 leaves it to the service
}

var defaultLimits = limits{single: 64 << 20, buffered: 32 << 20, part: 16 << 20, copyOne: 5 << 30, copyPart: 512 << 20, memory: 64 << 20}

// parallelParts is how many parts of one object are under way at the same time; maxParts is how many
// the protocol lets an object have.
const (
	parallelParts = 4
	maxParts      = 10_000
)

// Store is a storage.Store in a bucket, or in a directory of one.
type Store struct {
	opts      Options
	prefix    string // of every key: empty, or ends in a slash
	client    *s3.Client
	transport *http.Transport
	retryer   *retry.AdaptiveMode // shared, because it slows all requests down when the service asks for it
	limits    limits
	memory    *semaphore.Weighted
	wantsMD5  atomic.Bool // the bucket refused an upload without Content-MD5
	noBatch   atomic.Bool // the service can not delete several objects at once
}

var (
	_ storage.Store        = (*Store)(nil)
	_ storage.BatchDeleter = (*Store)(nil)
)

// Open prepares the client. It asks the service for nothing: a wrong key or bucket is the first
// call's error. Errors: ConfigInvalid for options that can not be used, AuthFailed where there are
// no credentials.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts.Patience == 0 {
		opts.Patience = DefaultPatience
	}
	transport, err := newTransport(opts)
	if err != nil {
		return nil, err
	}
	credentials, err := newCredentials(ctx, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts: opts, transport: transport, retryer: newRetryer(), limits: defaultLimits,
		client: newClient(opts, transport, credentials), memory: semaphore.NewWeighted(defaultLimits.memory),
	}
	if opts.Prefix != "" {
		s.prefix = strings.Trim(opts.Prefix, "/") + "/"
	}
	return s, nil
}

// name is the bucket's key of one of ours. Keys are checked before, so it never leaves the prefix.
func (s *Store) name(key string) *string { return aws.String(s.prefix + key) }

// check refuses what no key is, also one that is too long together with the prefix.
func (s *Store) check(ctx context.Context, op, key string) error {
	if err := storage.CheckKey(op, key); err != nil {
		return err
	}
	if len(s.prefix)+len(key) > storage.MaxKeyLength {
		return failure.New(failure.ConfigInvalid, op, "the key is too long together with the location's prefix", "Use a shorter prefix.")
	}
	return ctx.Err()
}

// usageTime is the longest that Usage counts: some hundred thousand objects.
const usageTime = 10 * time.Second

// Usage adds up a listing. What takes longer than usageTime, or than half of the caller's own time, is
// unknown: a large bucket is no reason to say that the location does not work. A bucket has no end that one
// could ask for. Older versions of objects in a versioned bucket are not counted.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	limit := usageTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	usage, end := storage.Usage{Available: -1, Capacity: -1}, time.Now().Add(limit)
	err := s.list(ctx, "measure storage", "", func(o storage.Object) error {
		usage.Used += o.Size
		if time.Now().After(end) {
			return errTooMany
		}
		return nil
	})
	switch {
	case errors.Is(err, errTooMany):
		usage.Used = -1
		return usage, nil
	case err != nil:
		return storage.Usage{Used: -1, Available: -1, Capacity: -1}, err
	default:
		return usage, nil
	}
}

var errTooMany = errors.New("too many objects to count")

// Sync has nothing to do: the service answers an upload when it is durable.
func (s *Store) Sync(ctx context.Context) error { return ctx.Err() }

// Close closes the connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Volume names the bucket: nothing can stand in its place, so what is gone from it was removed.
func (s *Store) Volume(ctx context.Context) (string, error) {
	return "s3 " + s.opts.Endpoint + " " + s.opts.Bucket + "/" + s.opts.Prefix, ctx.Err()
}

var _ storage.Volumer = (*Store)(nil)
