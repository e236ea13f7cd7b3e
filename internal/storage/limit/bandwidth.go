// Package limit holds the decorators that keep a store from taking more of a location than it may:
// Bandwidth for the bytes a second, Writes for the objects written at the same time.
package limit

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/time/rate"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// The most bytes that pass at once: a twentieth of a second's, so that the line is used evenly, and
// neither so few that waking up costs more than copying nor so many that a buffer overflows.
const (
	burstsASecond = 20
	smallestBurst = 4 << 10
	largestBurst  = 1 << 20
)

// Bandwidth lets the bodies of Put and Get through at no more than so many bytes a second each way,
// all calls together. Copy stays inside the location and is not limited. What a backend reads a
// second time in one Put, because it hashes before it sends, is counted once.
type Bandwidth struct {
	storage.Store
	up, down *rate.Limiter
}

var _ storage.Store = (*Bandwidth)(nil)

// NewBandwidth decorates inner. mbps is in megabits (10^6 bits) a second and positive.
func NewBandwidth(inner storage.Store, mbps float64) *Bandwidth {
	perSecond := mbps * 1e6 / 8
	burst := int(min(max(perSecond/burstsASecond, smallestBurst), largestBurst))
	limiter := func() *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), burst) }
	return &Bandwidth{Store: inner, up: limiter(), down: limiter()}
}

// Unwrap gives the store inside.
func (b *Bandwidth) Unwrap() storage.Store { return b.Store }

// Put reads body no faster than the limit. A body that can seek still can.
func (b *Bandwidth) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	limited := &reader{ctx: ctx, r: body, limiter: b.up}
	if seeker, ok := body.(io.Seeker); ok {
		return b.Store.Put(ctx, key, &seekable{reader: limited, seeker: seeker}, size)
	}
	return b.Store.Put(ctx, key, limited, size)
}

// Get returns a reader that is no faster than the limit.
func (b *Bandwidth) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	body, err := b.Store.Get(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	return &closable{reader: &reader{ctx: ctx, r: body, limiter: b.down}, Closer: body}, nil
}

// reader waits after each read until its bytes are within the limit.
type reader struct {
	ctx     context.Context
	r       io.Reader
	limiter *rate.Limiter
	pos     int64 // bytes from where the reader stood at first
	paid    int64 // the furthest position that was waited for
}

// Read gives at most a burst. It ends with the context's error, or at once with failure.Timeout if
// the context's deadline would pass while it waits.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p[:min(len(p), r.limiter.Burst())])
	r.pos += int64(n)
	owed := r.pos - r.paid
	if owed <= 0 {
		return n, err
	}
	r.paid = r.pos
	if waitErr := r.limiter.WaitN(r.ctx, int(min(owed, int64(r.limiter.Burst())))); waitErr != nil {
		if ctxErr := r.ctx.Err(); ctxErr != nil {
			return 0, ctxErr
		}
		return 0, failure.Wrap(failure.Timeout, "wait for bandwidth", fmt.Errorf("%w: %w", context.DeadlineExceeded, waitErr),
			"Raise bandwidth_limit_mbps, or give the work more time.")
	}
	return n, err
}

// seekable is a body that can be sent again.
type seekable struct {
	*reader
	seeker io.Seeker
	start  int64 // of the reader's pos, in the body
	known  bool
}

// Seek moves the body. What was let through once is not counted again.
func (s *seekable) Seek(offset int64, whence int) (int64, error) {
	if !s.known {
		now, err := s.seeker.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, err
		}
		s.start, s.known = now-s.pos, true
	}
	to, err := s.seeker.Seek(offset, whence)
	if err == nil {
		s.pos = to - s.start
	}
	return to, err
}

type closable struct {
	*reader
	io.Closer
}

// DeleteMany is not limited: it is passed on, so that a service gets few requests.
func (b *Bandwidth) DeleteMany(ctx context.Context, keys []string) error {
	return storage.DeleteMany(ctx, b.Store, keys)
}
