package activities

import (
	"context"
	"errors"
	"strings"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// refuseLink refuses the key of something that is there if it leads through a symbolic link: a link
// may give the object of a backup another name, by which nobody knows it. Listings show no links, so a
// folder on the way that is not listed is one.
func refuseLink(ctx context.Context, kind domain.StorageLocationType, store storage.Store, key string) error {
	if kind != domain.StorageLocal && kind != domain.StorageSSH {
		return nil // only file systems have links
	}
	elements := strings.Split(key, "/")
	for i, element := range elements[:len(elements)-1] {
		listed, err := lists(ctx, store, strings.Join(elements[:i], "/"), element+"/")
		if err != nil {
			return err
		}
		if !listed {
			return refuse(contract.RefusedPath, "%s leads through a symbolic link; name the file by the path that a listing shows", key)
		}
	}
	return nil
}

// lists reports whether a folder has an entry of this name.
func lists(ctx context.Context, store storage.Store, folder, name string) (found bool, err error) {
	err = storage.ListFolder(ctx, store, folder, strings.TrimSuffix(name, "/"), func(e storage.Entry) error {
		found = e.Name == name
		if e.Name >= name {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}
