package archive

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// maxDamageListed bounds Findings.Damaged: a location that lost a disk has millions.
const maxDamageListed = 1000

// Damage is one object that is not what was stored.
type Damage struct {
	Object int // index into Manifest.Objects
	Key    string
	Reason string // "it is missing", "its SHA-256 is not the one in the manifest"
}

// Findings are what a check saw that goes on after damage.
type Findings struct {
	Objects int64 // looked at, damaged or not
	Bytes   int64 // of them, as the manifest says
	// Damaged has the first maxDamageListed by key, Count is of all.
	Damaged []Damage
	Count   int64
}

// DamageOptions narrow and follow a check; the zero value checks everything.
type DamageOptions struct {
	Skip     func(object int) bool // objects that need no look: they count for nothing
	Progress Progress              // never called from two goroutines at once
}

// FindMissing is CheckObjects that goes on: it lists each directory of chunks and finds every object
// that is not there or has another size. Errors are those of the storage only.
func FindMissing(ctx context.Context, store storage.Store, m *Manifest, opts DamageOptions) (Findings, error) {
	c := newCollector(m, opts)
	for directory := range m.directories {
		err := m.compareListing(ctx, store, directory, c.wanted(m.sortedObjects(directory)), func(index int, wrong error) error {
			c.seen(index, wrong)
			return nil
		})
		if err != nil {
			return c.findings(), wrap("check objects", err)
		}
	}
	return c.findings(), nil
}

// FindChangedBytes is CheckBytes that goes on: it reads every object and compares length and
// SHA-256. It needs no identity. Errors are those of the storage only.
func FindChangedBytes(ctx context.Context, store storage.Store, m *Manifest, opts DamageOptions) (Findings, error) {
	c := newCollector(m, opts)
	err := c.each(ctx, checkParallel, func(ctx context.Context, _ int) (examiner, func()) {
		spare := make([]byte, 128*kib)
		return func(index int) error { return checkObject(ctx, store, m, index, spare) }, func() {}
	})
	return c.findings(), wrap("check bytes", err)
}

// FindDamage reads every object as a restore does: its length and SHA-256 are compared, it is
// decrypted, decompressed, and its keyed id is compared. It goes on after damage, on all cores.
// Errors are those of the storage and of the identity only.
func (r *Reader) FindDamage(ctx context.Context, opts DamageOptions) (Findings, error) {
	workers := max(r.prefetch, runtime.GOMAXPROCS(0))
	longest := r.manifest.Params.Max + decodeSlack
	if longest > 8*mib {
		workers = r.prefetch // each holds a chunk of that size, and its object
	}
	memory, err := mapMemory(workers * longest)
	if err != nil {
		return Findings{}, wrap("check chunks", err)
	}
	defer unmapMemory(memory)
	parts := slices.Collect(slices.Chunk(memory, longest))
	c := newCollector(r.manifest, opts)
	err = c.each(ctx, workers, func(ctx context.Context, worker int) (examiner, func()) {
		opener := newOpener(r)
		examine := func(index int) error {
			return opener.fetch(ctx, index, parts[worker][:r.manifest.Objects[index].PlainBytes])
		}
		return examine, opener.close
	})
	return c.findings(), wrap("check chunks", err)
}

// collector gathers what examiners find.
type collector struct {
	m    *Manifest
	opts DamageOptions

	mu    sync.Mutex
	found Findings
}

func newCollector(m *Manifest, opts DamageOptions) *collector { return &collector{m: m, opts: opts} }

func (c *collector) wanted(indices []int) []int {
	if c.opts.Skip == nil {
		return indices
	}
	return slices.DeleteFunc(indices, c.opts.Skip)
}

// each lets examiners look at every object. An error of class Corrupt is what one found.
func (c *collector) each(ctx context.Context, workers int, start func(ctx context.Context, worker int) (examine examiner, stop func())) error {
	return c.m.eachObject(ctx, workers, c.opts.Skip, func(ctx context.Context, worker int) (examiner, func()) {
		examine, stop := start(ctx, worker)
		return func(index int) error {
			err := examine(index)
			if err != nil && failure.ClassOf(err) != failure.Corrupt {
				return err
			}
			c.seen(index, err)
			return nil
		}, stop
	})
}

// seen counts an object, and notes what is wrong with it unless err is nil.
func (c *collector) seen(index int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Objects, c.found.Bytes = c.found.Objects+1, c.found.Bytes+c.m.Objects[index].StoredBytes
	if c.opts.Progress != nil {
		c.opts.Progress(c.found.Objects, c.found.Bytes)
	}
	if err == nil {
		return
	}
	c.found.Count++
	if len(c.found.Damaged) < maxDamageListed {
		key := c.m.ObjectKey(index)
		c.found.Damaged = append(c.found.Damaged, Damage{Object: index, Key: key, Reason: damageReason(key, err)})
	}
}

func (c *collector) findings() Findings {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.found.Damaged, func(a, b Damage) int { return strings.Compare(a.Key, b.Key) })
	return c.found
}

var errMissing = errors.New("it is missing")

func sizeDiffers(got, want int64) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("it is %d bytes long, the manifest says %d", got, want)
}

// damageReason is the part of an error that says what is wrong, without the name of the object,
// which stands beside it.
func damageReason(key string, err error) string {
	if errors.Is(err, storage.ErrNotFound) {
		return errMissing.Error()
	}
	var named *failure.Error
	if errors.As(err, &named) && named.Op == "object "+key && named.Cause != nil {
		return named.Cause.Error()
	}
	return err.Error()
}
