package activities

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/dataguardian/dataguardian/internal/storage"
)

// named is what a path of a storage location names: one object, or all that is below a folder.
type named struct {
	object storage.Object // Key "" for a folder
	folder string         // key of the folder, "" for an object
}

// name finds out what a path names. One that ends in a slash names a folder; an object comes before a
// folder of the same name, which only object storages can have. Errors: NotFound, ConfigInvalid for
// what is no key.
func name(ctx context.Context, store storage.Store, at string) (named, error) {
	key, isFolder := strings.CutSuffix(at, "/")
	if err := storage.CheckKey("look for a file", key); err != nil {
		return named{}, err
	}
	if !isFolder {
		object, err := store.Stat(ctx, key)
		if err == nil || !errors.Is(err, storage.ErrNotFound) {
			return named{object: object}, err
		}
	}
	found, err := storage.HasFolder(ctx, store, key)
	if err == nil && !found {
		err = noSuchFile(at)
	}
	return named{folder: key}, err
}

func (n named) isFolder() bool { return n.folder != "" }

// key is that of the object, or of the folder as if it were one.
func (n named) key() string {
	if n.isFolder() {
		return n.folder
	}
	return n.object.Key
}

// base is the last element of its key.
func (n named) base() string { return path.Base(n.key()) }

// each calls fn for every object that is named, in the order of the keys.
func (n named) each(ctx context.Context, store storage.Store, fn func(storage.Object) error) error {
	if !n.isFolder() {
		return fn(n.object)
	}
	return store.List(ctx, n.folder+"/", fn)
}

// has reports whether a key is named.
func (n named) has(key string) bool {
	if n.isFolder() {
		return strings.HasPrefix(key, n.folder+"/")
	}
	return key == n.object.Key
}
