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
		err := m.compareListing(ctx, store, directory, m.sortedObjects(directory), func(index int, wrong error) error {
			if wrong != nil {
				return corruptObject(m.ObjectKey(index), wrong)
			}
			objects, bytes = objects+1, bytes+m.Objects[index].StoredBytes
			if progress != nil && objects%progressEvery == 0 {
				progress(objects, bytes)
			}
			return nil
		})
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

// compareListing walks a store's listing of a directory and the expected objects in it, which are in
// the same order, side by side. It tells seen of each expected one what is wrong with it, nil for
// nothing, and ends with the first error that seen returns. Other objects are of other backups.
func (m *Manifest) compareListing(ctx context.Context, store storage.Store, directory int, expected []int, seen func(index int, wrong error) error) error {
	err := store.List(ctx, m.directories[directory]+"/", func(found storage.Object) error {
		for len(expected) > 0 {
			index := expected[0]
			order := strings.Compare(m.ObjectKey(index), found.Key)
			if order > 0 {
				return nil
			}
			wrong := errMissing
			if order == 0 {
				wrong = sizeDiffers(found.Size, m.Objects[index].StoredBytes)
			}
			expected = expected[1:]
			if err := seen(index, wrong); err != nil || order == 0 {
				return err
			}
		}
		return nil
	})
	for _, index := range expected {
		if err != nil {
			break
		}
		err = seen(index, errMissing)
	}
	return err
}

// CheckBytes reads every object and compares its length and SHA-256, several at a time and with a
// small buffer each. It needs no identity. The first bad object is Corrupt, naming it. progress may
// be nil; it is never called from two goroutines at once.
func CheckBytes(ctx context.Context, store storage.Store, m *Manifest, progress Progress) (objects, bytes int64, err error) {
	var mu sync.Mutex
	err = m.eachObject(ctx, checkParallel, nil, func(ctx context.Context, _ int) (examiner, func()) {
		spare := make([]byte, 128*kib)
		return func(index int) error {
			if err := checkObject(ctx, store, m, index, spare); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			objects, bytes = objects+1, bytes+m.Objects[index].StoredBytes
			if progress != nil {
				progress(objects, bytes)
			}
			return nil
		}, func() {}
	})
	return objects, bytes, wrap("check bytes", err)
}

// examiner looks at one object.
type examiner func(index int) error

// eachObject gives every object, but those that skip names, to one of several examiners, one a
// goroutine. The first error of one ends all. skip may be nil.
func (m *Manifest) eachObject(ctx context.Context, workers int, skip func(index int) bool,
	start func(ctx context.Context, worker int) (examine examiner, stop func()),
) error {
	group, ctx := errgroup.WithContext(ctx)
	indices := make(chan int)
	group.Go(func() error {
		defer close(indices)
		for i := range m.Objects {
			if skip != nil && skip(i) {
				continue
			}
			select {
			case indices <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for worker := range workers {
		group.Go(func() error {
			examine, stop := start(ctx, worker)
			defer stop()
			for i := range indices {
				if err := examine(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
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
