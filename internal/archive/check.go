package archive

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// checkParallel is how many objects CheckBytes reads at the same time.
const checkParallel = 4

// progressEvery is how many listed objects pass between two calls of a Progress.
const progressEvery = 1000

// CheckObjects is the quick check: every object is there with its size. It costs one listing of
// each directory of chunks and reads no object. The first object that is missing or has another
// size is Corrupt, naming it. progress may be nil.
func CheckObjects(ctx context.Context, store storage.Store, m *Manifest, progress Progress) (objects, bytes int64, err error) {
	for directory := range m.directories {
		c := listing{m: m, objects: objects, bytes: bytes, progress: progress, expected: m.sortedObjects(directory)}
		err := store.List(ctx, m.directories[directory]+"/", c.listed)
		if err == nil {
			err = c.end()
		}
		objects, bytes = c.objects, c.bytes
		if err != nil {
			return objects, bytes, wrap("check objects", err)
		}
	}
	if progress != nil {
		progress(objects, bytes)
	}
	return objects, bytes, nil
}

// sortedObjects lists the objects of a directory in the order in which a store lists them. Ids have
// one length and come first in a name, so their order is that of the keys.
func (m *Manifest) sortedObjects(directory int) []int {
	var indices []int
	for i, o := range m.Objects {
		if int(o.directory) == directory {
			indices = append(indices, i)
		}
	}
	slices.SortFunc(indices, func(a, b int) int { return bytes.Compare(m.Objects[a].ID[:], m.Objects[b].ID[:]) })
	return indices
}

// listing walks a store's listing and the expected objects side by side.
type listing struct {
	m              *Manifest
	expected       []int
	objects, bytes int64
	progress       Progress
}

func (c *listing) listed(found storage.Object) error {
	if len(c.expected) == 0 {
		return nil
	}
	want := c.m.ObjectKey(c.expected[0])
	switch order := strings.Compare(found.Key, want); {
	case order < 0: // a chunk of another backup of the generation
		return nil
	case order > 0:
		return missingFromListing(want)
	}
	size := c.m.Objects[c.expected[0]].StoredBytes
	if err := sizeDiffers(found.Size, size); err != nil {
		return corruptObject(want, err)
	}
	c.expected = c.expected[1:]
	c.objects, c.bytes = c.objects+1, c.bytes+size
	if c.progress != nil && c.objects%progressEvery == 0 {
		c.progress(c.objects, c.bytes)
	}
	return nil
}

func (c *listing) end() error {
	if len(c.expected) > 0 {
		return missingFromListing(c.m.ObjectKey(c.expected[0]))
	}
	return nil
}

func missingFromListing(key string) error {
	return corruptObject(key, errMissing)
}

// CheckBytes reads every object and compares its length and SHA-256, several at a time and with a
// small buffer each. It needs no identity. The first bad object is Corrupt, naming it. progress may
// be nil; it is never called from two goroutines at once.
func CheckBytes(ctx context.Context, store storage.Store, m *Manifest, progress Progress) (objects, bytes int64, err error) {
	group, groupCtx := errgroup.WithContext(ctx)
	indices := make(chan int)
	group.Go(func() error {
		defer close(indices)
		for i := range m.Objects {
			select {
			case indices <- i:
			case <-groupCtx.Done():
				return groupCtx.Err()
			}
		}
		return nil
	})
	var mu sync.Mutex
	for range checkParallel {
		group.Go(func() error {
			spare := make([]byte, 128*kib)
			for i := range indices {
				if err := checkObject(groupCtx, store, m, i, spare); err != nil {
					return err
				}
				mu.Lock()
				objects, bytes = objects+1, bytes+m.Objects[i].StoredBytes
				if progress != nil {
					progress(objects, bytes)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return objects, bytes, wrap("check bytes", err)
	}
	return objects, bytes, nil
}

func checkObject(ctx context.Context, store storage.Store, m *Manifest, index int, spare []byte) error {
	object := m.Objects[index]
	content, err := store.Get(ctx, m.ObjectKey(index), 0, -1)
	if err != nil {
		return missingObject(err)
	}
	defer content.Close()
	source := newObjectReader(content, object.StoredBytes)
	err = source.check(object.Checksum, spare)
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil {
		return ctxErr
	}
	return corruptObject(m.ObjectKey(index), err)
}
