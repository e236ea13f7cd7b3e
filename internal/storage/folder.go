package storage

import (
	"context"
	"errors"
	"strings"
)

// Entry is one thing in a folder: an object, or a folder. A folder is there because the key of some
// object leads through it.
type Entry struct {
	Name   string // the last element of its key, with a slash at the end for a folder
	Object        // of a folder only the Key, without a slash at the end
}

// IsFolder tells a folder from an object.
func (e Entry) IsFolder() bool { return strings.HasSuffix(e.Name, "/") }

// FolderLister is a store that lists one folder without passing over what is below its folders.
type FolderLister interface {
	// ListFolder calls fn for every entry of a folder ("" is the root) whose name comes after the
	// given one, in ascending byte order of the names, until fn returns an error, which ListFolder
	// then returns. A folder that is not there is NotFound or empty; a store may show folders that no
	// object is in any more.
	ListFolder(ctx context.Context, folder, after string, fn func(Entry) error) error
}

// ListFolder lists one folder of any store. On one that is no FolderLister, nor decorates one, it
// passes over every object below the folder up to the last entry that fn wants: in bounded memory, but
// a listing of everything for a root with few folders.
func ListFolder(ctx context.Context, store Store, folder, after string, fn func(Entry) error) error {
	if err := CheckFolder("list folder", folder); err != nil {
		return err
	}
	if lister, ok := folderLister(store); ok {
		return lister.ListFolder(ctx, folder, after, fn)
	}
	return listFolder(ctx, store, folder, after, fn)
}

// CheckFolder refuses, with failure.ConfigInvalid, what is neither "" nor a key.
func CheckFolder(op, folder string) error {
	if folder == "" {
		return nil
	}
	return CheckKey(op, folder)
}

// folderLister finds the store inside the decorators that lists folders.
func folderLister(store Store) (FolderLister, bool) {
	for {
		if lister, ok := store.(FolderLister); ok {
			return lister, true
		}
		decorator, ok := store.(interface{ Unwrap() Store })
		if !ok {
			return nil, false
		}
		store = decorator.Unwrap()
	}
}

func listFolder(ctx context.Context, store Store, folder, after string, fn func(Entry) error) error {
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	last := after // names come in order, and those of one folder together
	return store.List(ctx, prefix, func(o Object) error {
		name := strings.TrimPrefix(o.Key, prefix)
		entry := Entry{Name: name, Object: o}
		if end := strings.IndexByte(name, '/'); end >= 0 {
			entry = Entry{Name: name[:end+1], Object: Object{Key: prefix + name[:end]}}
		}
		if entry.Name <= last {
			return nil
		}
		last = entry.Name
		return fn(entry)
	})
}

// errFound ends a listing that has seen enough.
var errFound = errors.New("found")

// HasFolder reports whether an object is below the folder.
func HasFolder(ctx context.Context, store Store, folder string) (bool, error) {
	err := store.List(ctx, folder+"/", func(Object) error { return errFound })
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}
