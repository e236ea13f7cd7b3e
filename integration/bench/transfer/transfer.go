// Package transfer moves whole directories to and from a storage location with nothing but the store:
// what a backend is worth beside programs that only copy files.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/dataguardian/dataguardian/internal/recovery"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// Command is the first argument that makes the benchmark's own program a transfer.
const Command = "transfer"

// AtOnce is how many objects are under way at the same time.
const AtOnce = 8

const (
	put = "put"
	get = "get"
	// copyBuffer is how many bytes of an object go to its file at once.
	copyBuffer = 1 << 20
)

// PutArguments store every file of a directory. The location is a document as `recover
// --storage-config` takes it, in a file: it may hold secrets.
func PutArguments(location, dir string) []string { return []string{Command, put, location, dir} }

// GetArguments write every object into a file of a directory that is there.
func GetArguments(location, dir string) []string { return []string{Command, get, location, dir} }

// Main transfers. arguments are those of PutArguments or GetArguments behind Command.
func Main(ctx context.Context, arguments []string) (err error) {
	if len(arguments) != 3 || arguments[0] != put && arguments[0] != get {
		return errors.New("bench: " + Command + " wants put or get, the file of a location and a directory")
	}
	store, err := open(ctx, arguments[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if arguments[0] == put {
		return putAll(ctx, store, arguments[2])
	}
	return getAll(ctx, store, arguments[2])
}

func open(ctx context.Context, file string) (storage.Store, error) {
	document, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = document.Close() }()
	location, err := recovery.ReadLocation(document)
	if err != nil {
		return nil, err
	}
	return location.Open(ctx)
}

// putAll ends when everything is durable.
func putAll(ctx context.Context, store storage.Store, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	puts, putCtx := errgroup.WithContext(ctx)
	puts.SetLimit(AtOnce)
	for _, entry := range entries {
		puts.Go(func() error { return putFile(putCtx, store, filepath.Join(dir, entry.Name())) })
	}
	if err := puts.Wait(); err != nil {
		return err
	}
	return store.Sync(ctx)
}

func putFile(ctx context.Context, store storage.Store, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return store.Put(ctx, filepath.Base(path), file, info.Size())
}

// getAll makes nothing durable: whoever measures flushes the file system.
func getAll(ctx context.Context, store storage.Store, dir string) error {
	var keys []string
	err := store.List(ctx, "", func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		return err
	}
	gets, getCtx := errgroup.WithContext(ctx)
	gets.SetLimit(AtOnce)
	for _, key := range keys {
		gets.Go(func() error { return getObject(getCtx, store, key, filepath.Join(dir, key)) })
	}
	return gets.Wait()
}

func getObject(ctx context.Context, store storage.Store, key, path string) (err error) {
	body, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	// Not the file itself: it would bring a small buffer of its own.
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, body, make([]byte, copyBuffer))
	return errors.Join(err, file.Close())
}
