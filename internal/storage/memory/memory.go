// Package memory keeps objects in memory, for tests.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// Store is a storage.Store in memory. The zero value is not ready; use New.
type Store struct {
	maxBytes int64

	mu      sync.RWMutex
	objects map[string]object
	used    int64
}

type object struct {
	data    []byte // never changed once it is here
	modTime time.Time
}

var _ storage.Store = (*Store)(nil)

// New returns an empty store that takes maxBytes bytes of objects, 0 for no limit.
func New(maxBytes int64) *Store {
	return &Store{maxBytes: maxBytes, objects: map[string]object{}}
}

// Put reads the whole body and then shows it.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	const op = "put object"
	if err := errors.Join(storage.CheckKey(op, key), storage.CheckSize(op, key, size), ctx.Err()); err != nil {
		return err
	}
	if s.maxBytes > 0 && size > s.maxBytes {
		return storage.FullError(op, key, fmt.Sprintf("%d bytes are more than the %d it takes", size, s.maxBytes))
	}
	var buffer bytes.Buffer
	written, err := io.Copy(&buffer, io.LimitReader(body, size+1))
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if written != size {
		return storage.BodyError(op, key, written, size)
	}
	return s.store(op, key, buffer.Bytes())
}

func (s *Store) store(op, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.used - int64(len(s.objects[key].data)) + int64(len(data))
	if s.maxBytes > 0 && used > s.maxBytes {
		return storage.FullError(op, key, fmt.Sprintf("%d of %d bytes are used", s.used, s.maxBytes))
	}
	s.used = used
	s.objects[key] = object{data: data, modTime: time.Now()}
	return nil
}

// Get reads from the object as it is now, whatever replaces it meanwhile.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	const op = "get object"
	found, err := s.find(ctx, op, key)
	if err != nil {
		return nil, err
	}
	length, err = storage.CheckRange(op, key, offset, length, int64(len(found.data)))
	if err != nil {
		return nil, err
	}
	return &reader{ctx: ctx, Reader: bytes.NewReader(found.data[offset : offset+length])}, nil
}

type reader struct {
	ctx context.Context
	*bytes.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// WriteTo is hidden: it would copy the whole object without looking at the context.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

func (r *reader) Close() error { return nil }

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	found, err := s.find(ctx, "stat object", key)
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{Key: key, Size: int64(len(found.data)), ModTime: found.modTime}, nil
}

func (s *Store) find(ctx context.Context, op, key string) (object, error) {
	if err := errors.Join(storage.CheckKey(op, key), ctx.Err()); err != nil {
		return object{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, ok := s.objects[key]
	if !ok {
		return object{}, storage.NotFoundError(op, key)
	}
	return found, nil
}

// List lists what was there when it was called.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	if err := storage.CheckPrefix("list objects", prefix); err != nil {
		return err
	}
	s.mu.RLock()
	objects := maps.Clone(s.objects)
	s.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := fn(storage.Object{Key: key, Size: int64(len(objects[key].data)), ModTime: objects[key].modTime}); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes the object.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := errors.Join(storage.CheckKey("delete object", key), ctx.Err()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= int64(len(s.objects[key].data))
	delete(s.objects, key)
	return nil
}

// Copy shares the bytes, which never change.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	const op = "copy object"
	if err := storage.CheckKey(op, to); err != nil {
		return err
	}
	found, err := s.find(ctx, op, from)
	if err != nil {
		return err
	}
	return s.store(op, to, found.data)
}

// Usage knows what is free only if there is a limit.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	if err := ctx.Err(); err != nil {
		return storage.Usage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	usage := storage.Usage{Used: s.used, Available: -1, Capacity: -1}
	if s.maxBytes > 0 {
		usage.Available, usage.Capacity = s.maxBytes-s.used, s.maxBytes
	}
	return usage, nil
}

// Sync has nothing to do: no object survives the process.
func (s *Store) Sync(ctx context.Context) error { return ctx.Err() }

// Close keeps the objects, so that a test can look at them.
func (s *Store) Close() error { return nil }
