package archive

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const (
	// copyBatchBytes and copyBatchObjects are what is made durable together. What a lost copying had
	// sent since the last batch is read back by the next.
	copyBatchBytes   = 64 * mib
	copyBatchObjects = 256
	// copyTries is how often one object is sent: its body can not be rewound by the store.
	copyTries = 3
	copyPause = 500 * time.Millisecond // doubled and jittered from try to try
)

// CopyOptions say what is known about the location that is copied to; the zero value knows nothing.
type CopyOptions struct {
	Parallel int // objects that are copied at the same time, 0 for 4
	// Durable are the first so many objects of the manifest: an earlier copying made them durable, so
	// that those which are there with their size are whole.
	Durable int
	// Trusted says which of the objects that are there with their size need not be read to know that
	// they are whole: it takes away from indices, which are in the order of the ids, those that another
	// backup there refers to. nil: all are read.
	Trusted func(ctx context.Context, indices []int) ([]int, error)
	// Progress is told how many objects, from the first, are there and durable. Nothing is called from two
	// goroutines at once.
	Progress func(durable int, c Copied)
}

// Copied counts what CopyObjects did.
type Copied struct {
	Present int64 // objects that were there
	Copied  int64 // objects that were sent
	Bytes   int64 // of the objects that were sent
}

// CopyObjects copies every object of a backup to another location that does not hold it yet under the
// same key, in the order of the manifest, and makes it durable. Each is compared with the manifest's length
// and SHA-256 while it is streamed, and what is different is not stored. One that is there is not sent
// again: its folder is listed once, and what could be the leftover of a crash is read. Errors: SourceError
// (NotFound, Corrupt when the source does not hold what it should); those of the location that is
// written to.
func CopyObjects(ctx context.Context, from, to storage.Store, m *Manifest, o CopyOptions) (Copied, error) {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	c := &copier{from: from, to: to, m: m, opts: o, present: make([]bool, len(m.Objects))}
	err := c.look(ctx)
	if err == nil {
		err = c.all(ctx)
	}
	return c.done, wrap("copy objects", err)
}

type copier struct {
	from, to storage.Store
	m        *Manifest
	opts     CopyOptions
	present  []bool // by object
	done     Copied
}

// look finds out which objects are there and whole.
func (c *copier) look(ctx context.Context) error {
	var doubtful []int
	for directory := range c.m.directories {
		err := c.m.compareListing(ctx, c.to, directory, c.m.sortedObjects(directory), func(index int, wrong error) error {
			c.present[index] = wrong == nil
			if wrong == nil && index >= c.opts.Durable {
				doubtful = append(doubtful, index)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(doubtful) > 0 && c.opts.Trusted != nil {
		slices.SortFunc(doubtful, func(a, b int) int { return bytes.Compare(c.m.Objects[a].ID[:], c.m.Objects[b].ID[:]) })
		var err error
		if doubtful, err = c.opts.Trusted(ctx, doubtful); err != nil {
			return err
		}
	}
	return c.readBack(ctx, doubtful)
}

// readBack takes what is not whole for not there.
func (c *copier) readBack(ctx context.Context, indices []int) error {
	return c.each(ctx, indices, func(ctx context.Context, index int) error {
		err := checkObject(ctx, c.to, c.m, index, make([]byte, 128*kib))
		if failure.ClassOf(err) == failure.Corrupt {
			c.present[index] = false // its own element: nobody else writes it
			return nil
		}
		return err
	})
}

// all copies batch after batch.
func (c *copier) all(ctx context.Context) error {
	var batch []int
	var size int64
	for i := range c.m.Objects {
		if c.present[i] {
			c.done.Present++
		} else {
			batch, size = append(batch, i), size+c.m.Objects[i].StoredBytes
		}
		full := size >= copyBatchBytes || len(batch) >= copyBatchObjects
		if !full && i < len(c.m.Objects)-1 {
			continue
		}
		if err := c.send(ctx, batch); err != nil {
			return err
		}
		c.done.Copied, c.done.Bytes = c.done.Copied+int64(len(batch)), c.done.Bytes+size
		if c.opts.Progress != nil {
			c.opts.Progress(i+1, c.done)
		}
		batch, size = batch[:0], 0
	}
	return nil
}

// send copies some objects and makes them durable.
func (c *copier) send(ctx context.Context, batch []int) error {
	if len(batch) == 0 {
		return nil
	}
	if err := c.each(ctx, batch, c.sendOne); err != nil {
		return err
	}
	return c.to.Sync(ctx)
}

// sendOne tries again what may pass.
func (c *copier) sendOne(ctx context.Context, index int) error {
	pauses := backoff.NewExponentialBackOff(backoff.WithInitialInterval(copyPause), backoff.WithMultiplier(2), backoff.WithMaxElapsedTime(0))
	var last error // not the context's bare error: the last try says what is wrong
	err := backoff.Retry(func() error {
		last = c.sendOnce(ctx, index)
		if failure.IsPermanent(failure.ClassOf(last)) {
			return backoff.Permanent(last)
		}
		return last
	}, backoff.WithContext(backoff.WithMaxRetries(pauses, copyTries-1), ctx))
	if err == nil {
		return nil
	}
	return last
}

// sendOnce sends an object. What the source does not hold as it should is Corrupt.
func (c *copier) sendOnce(ctx context.Context, index int) error {
	err := copyObject(ctx, c.from, c.to, c.m, index)
	var source *SourceError
	switch {
	case errors.As(err, &source) && errors.Is(err, storage.ErrNotFound):
		return &SourceError{corruptObject(c.m.ObjectKey(index), errMissing)}
	case errors.As(err, &source) && failure.ClassOf(err) == failure.Corrupt:
		return &SourceError{corruptObject(c.m.ObjectKey(index), source.Cause)}
	}
	return err
}

// each works on some objects, several at the same time. The first error ends all.
func (c *copier) each(ctx context.Context, indices []int, work func(ctx context.Context, index int) error) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Parallel)
	for _, index := range indices {
		if working.Err() != nil {
			break
		}
		group.Go(func() error { return work(working, index) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
