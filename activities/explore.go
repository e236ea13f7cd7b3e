package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// errEnough ends a listing that has seen what it looked for.
var errEnough = errors.New("enough")

// ListFolder lists a part of a folder.
func (a *Activities) ListFolder(ctx context.Context, in contract.FolderInput) (contract.FolderPart, error) {
	part := contract.FolderPart{Entries: []contract.FolderEntry{}}
	location, store, err := a.lookAt(ctx, in.StorageLocationID)
	if err == nil {
		defer func() { _ = store.Close() }()
		err = failure.WithSubject(listPart(ctx, store, in, &part), aboutStorage(location.Name))
	}
	if refusal := refusalOf(err); refusal != nil {
		return contract.FolderPart{Refusal: refusal, Entries: []contract.FolderEntry{}}, nil
	}
	return part, toTemporal(ctx, err, location.Config.SecretValues()...)
}

func listPart(ctx context.Context, store storage.Store, in contract.FolderInput, part *contract.FolderPart) error {
	err := storage.ListFolder(ctx, store, in.Path, in.After, func(e storage.Entry) error {
		if domain.ObjectKeyProblem(e.Key) != "" {
			return nil // a foreign file, by a name that no request can hold
		}
		if len(part.Entries) >= in.Limit {
			part.More = true
			return errEnough
		}
		entry := contract.FolderEntry{Name: e.Name, Size: e.Size}
		if !e.ModTime.IsZero() {
			modified := e.ModTime.UTC()
			entry.Modified = &modified
		}
		part.Entries = append(part.Entries, entry)
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err == nil && len(part.Entries) == 0 && in.Path != "" && in.After == "":
		return noSuchFile(in.Path)
	}
	return err
}

// MeasureUsage asks a storage location what it holds and has left.
func (a *Activities) MeasureUsage(ctx context.Context, in contract.StorageRef) (contract.StorageUsage, error) {
	location, store, err := a.lookAt(ctx, in.StorageLocationID)
	var usage storage.Usage
	if err == nil {
		defer func() { _ = store.Close() }()
		usage, err = store.Usage(ctx)
		err = failure.WithSubject(err, aboutStorage(location.Name))
	}
	if refusal := refusalOf(err); refusal != nil {
		return contract.StorageUsage{Refusal: refusal}, nil
	}
	return contract.StorageUsage{Used: usage.Used, Available: usage.Available, Capacity: usage.Capacity},
		toTemporal(ctx, err, location.Config.SecretValues()...)
}

// lookAt opens a storage location for somebody who only looks: also one whose repository is not there,
// to see what is.
func (a *Activities) lookAt(ctx context.Context, id string) (db.StorageLocation, storage.Store, error) {
	location, err := a.DB.GetStorageLocation(ctx, id)
	if err != nil {
		return location, nil, err
	}
	store, err := a.openStorage(ctx, location, storage.Use{})
	return location, store, err
}

// refusalOf is the answer for an error that stays however often the work is tried again, nil for
// every other one.
func refusalOf(err error) *contract.Refusal {
	var refused *refusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &refused.Refusal
	case !failure.IsPermanent(failure.ClassOf(err)):
		return nil
	}
	return &contract.Refusal{
		Reason: contract.RefusedFailure, Class: string(failure.ClassOf(err)), Message: failure.Redact(err.Error()), Hint: failure.HintOf(err),
	}
}

// refusedError carries a refusal of our own.
type refusedError struct{ contract.Refusal }

func (e *refusedError) Error() string { return e.Message }

func refuse(reason contract.RefusalReason, format string, args ...any) error {
	return &refusedError{contract.Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

func noSuchFile(path string) error {
	return failure.New(failure.NotFound, "look for "+path, "there is no such file or folder", "")
}

// filesPulse is how often work on files says that it is alive.
const filesPulse = 2 * time.Second
