package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// OfferTransfer tells where this worker's data port is.
func (a *Activities) OfferTransfer(context.Context, contract.TransferInput) (contract.TransferOffer, error) {
	if a.Transfers == nil {
		return contract.TransferOffer{Off: true}, nil
	}
	return *a.Transfers, nil
}

// TransferSources are what the worker's data port delivers.
func (a *Activities) TransferSources() map[string]dataport.Source {
	return map[string]dataport.Source{
		contract.TransferStorageFiles: a.openStorageFile,
		contract.TransferSchema:       a.openSchema,
		contract.TransferQuery:        a.openQuery,
		contract.TransferBackup:       a.openDump,
		contract.TransferBackupFiles:  a.openBackupFolder,
	}
}

// openStorageFile opens a file of a storage location, or a folder as a zip.
func (a *Activities) openStorageFile(ctx context.Context, body json.RawMessage) (dataport.Content, error) {
	var in contract.StorageFile
	if err := json.Unmarshal(body, &in); err != nil {
		return dataport.Content{}, failure.Wrap(failure.Unsupported, "read what to transfer", err, "")
	}
	location, store, err := a.lookAt(ctx, in.StorageLocationID)
	if err != nil {
		return dataport.Content{}, err
	}
	content, err := openContent(ctx, location, store, in)
	if err != nil {
		_ = store.Close()
		return dataport.Content{}, failure.WithSubject(err, aboutStorage(location.Name))
	}
	content.Close = store.Close
	return content, nil
}

func openContent(ctx context.Context, location db.StorageLocation, store storage.Store, in contract.StorageFile) (dataport.Content, error) {
	if location.Pool != in.Pool {
		return dataport.Content{}, failure.New(failure.ConfigInvalid, "open the storage location", "it has moved to pool "+location.Pool, "Try again.")
	}
	what, err := name(ctx, store, in.Path)
	if err != nil {
		return dataport.Content{}, err
	}
	if what.isFolder() {
		return zipContent(ctx, store, what)
	}
	object := what.object
	return dataport.Content{
		Name: what.base(), Type: "application/octet-stream", Size: object.Size, Modified: object.ModTime,
		ETag: fmt.Sprintf(`"%x-%x"`, object.ModTime.UnixNano(), object.Size),
		Open: func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
			return store.Get(ctx, object.Key, offset, length)
		},
	}, nil
}

// maxZipEntries bounds what a worker holds of a folder while it sends it: about 60 MB for so many.
const maxZipEntries = 100_000

func zipContent(ctx context.Context, store storage.Store, folder named) (dataport.Content, error) {
	var objects []storage.Object
	err := folder.each(ctx, store, func(o storage.Object) error {
		if len(objects) == maxZipEntries {
			return errEnough
		}
		objects = append(objects, o)
		return nil
	})
	if errors.Is(err, errEnough) {
		return dataport.Content{}, failure.New(failure.ConfigInvalid, "list the folder",
			fmt.Sprintf("it holds more than the %d files that one download takes", maxZipEntries), "Download the folders in it one by one.")
	}
	if err != nil {
		return dataport.Content{}, err
	}
	archive := zipFolder{store: store, folder: folder.folder, objects: objects}
	return dataport.Content{Name: folder.base() + ".zip", Type: "application/zip", Write: archive.write}, nil
}
