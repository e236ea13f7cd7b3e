package activities

import (
	"context"
	"errors"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// CopyObject copies a file within its storage location. It never writes where only backups do.
func (a *Activities) CopyObject(ctx context.Context, in contract.CopyFileInput) (contract.FilesChanged, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	var before fileCopyState
	resume(ctx, &before)
	in.Overwrite = in.Overwrite || before.Begun // what is there now may be the lost try's own
	pulse := startPulse(ctx, filesPulse, before)
	defer pulse.stop()
	location, store, err := a.openLocation(ctx, in.StorageLocationID)
	var changed contract.FilesChanged
	if err == nil {
		defer func() { _ = store.Close() }()
		changed, err = copyObject(ctx, location.Type, store, in, func() { pulse.set(fileCopyState{Begun: true}) })
		err = failure.WithSubject(err, aboutStorage(location.Name))
	}
	if refusal := refusalOf(err); refusal != nil {
		return contract.FilesChanged{Refusal: refusal}, nil
	}
	return changed, toTemporal(ctx, err, location.Config.SecretValues()...)
}

// fileCopyState rides in the heartbeats.
type fileCopyState struct {
	Begun bool `json:"begun"` // the copy may be there
}

func copyObject(ctx context.Context, kind domain.StorageLocationType, store storage.Store, in contract.CopyFileInput, begin func()) (contract.FilesChanged, error) {
	var none contract.FilesChanged
	if err := errors.Join(storage.CheckKey("copy a file", in.From), storage.CheckKey("copy a file", in.To)); err != nil {
		return none, err
	}
	if reserved(in.To) {
		return none, refuse(contract.RefusedReserved, "%s is a place where only backups write; choose another", in.To)
	}
	from, err := store.Stat(ctx, in.From)
	if err != nil {
		return none, err
	}
	switch _, err := store.Stat(ctx, in.To); {
	case err == nil && !in.Overwrite:
		return none, refuse(contract.RefusedExists, "%s is there already; send overwrite to replace it", in.To)
	case err == nil:
		if err := refuseLink(ctx, kind, store, in.To); err != nil {
			return none, err
		}
	case !errors.Is(err, storage.ErrNotFound):
		return none, err
	}
	begin()
	if err := store.Copy(ctx, in.From, in.To); err != nil {
		return none, err
	}
	return contract.FilesChanged{Objects: 1, Bytes: from.Size}, store.Sync(ctx)
}

// DeleteObjects deletes a file, or a folder with all that is in it, or nothing if a backup needs any of
// it.
func (a *Activities) DeleteObjects(ctx context.Context, in contract.DeleteFilesInput) (contract.FilesChanged, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	var before contract.FilesChanged // what a try that was lost deleted
	resume(ctx, &before)
	pulse := startPulse(ctx, filesPulse, before)
	defer pulse.stop()
	location, store, err := a.openLocation(ctx, in.StorageLocationID)
	if err == nil {
		defer func() { _ = store.Close() }()
		d := filesDeletion{guard: guard{a: a, location: location, store: store}, pulse: pulse, changed: before}
		err = failure.WithSubject(d.run(ctx, in.Path), aboutStorage(location.Name))
	}
	if refusal := refusalOf(err); refusal != nil {
		return contract.FilesChanged{Refusal: refusal}, nil
	}
	return pulse.state, toTemporal(ctx, err, location.Config.SecretValues()...)
}

// filesDeletion is the deletion of what a path names.
type filesDeletion struct {
	guard
	pulse   *pulse[contract.FilesChanged]
	changed contract.FilesChanged
}

func (d *filesDeletion) run(ctx context.Context, at string) error {
	doomed, err := name(ctx, d.store, at)
	if errors.Is(err, storage.ErrNotFound) || failure.ClassOf(err) == failure.NotFound {
		if d.changed.Objects > 0 {
			return nil // the try before this one deleted the last of it
		}
	}
	if err != nil {
		return err
	}
	if err := refuseLink(ctx, d.location.Type, d.store, doomed.key()); err != nil {
		return err
	}
	d.doomed = doomed
	if err := d.checkAll(ctx, at); err != nil {
		return err
	}
	if err := d.removeAll(ctx, at); err != nil {
		return err
	}
	return d.store.Sync(ctx)
}

// checkAll looks at everything before anything is deleted.
func (d *filesDeletion) checkAll(ctx context.Context, at string) error {
	var batch []storage.Object
	var needed found
	look := func() error {
		err := d.check(ctx, batch, &needed)
		batch = batch[:0]
		return err
	}
	err := d.doomed.each(ctx, d.store, func(o storage.Object) error {
		if batch = append(batch, o); len(batch) < removeBatch {
			return nil
		}
		if err := look(); err != nil {
			return err
		}
		if len(needed.holders) >= maxKeepers {
			return errEnough
		}
		return nil
	})
	if err == nil {
		err = look()
	}
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return needed.refusal(at)
}

// removeAll deletes batch by batch, each looked at once more: what came to be needed meanwhile stays,
// and with it the rest. Nothing is deleted while it is being listed.
func (d *filesDeletion) removeAll(ctx context.Context, at string) error {
	last := ""
	for {
		var batch []storage.Object
		err := d.doomed.each(ctx, d.store, func(o storage.Object) error {
			if batch = append(batch, o); len(batch) < removeBatch {
				return nil
			}
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		if batch[0].Key == last {
			return failure.New(failure.Unsupported, "delete "+batch[0].Key, "it is still there after it was deleted",
				"Look for a retention lock or a version policy of the storage.")
		}
		last = batch[0].Key
		if err := d.remove(ctx, at, batch); err != nil {
			return err
		}
		if !d.doomed.isFolder() {
			return nil
		}
	}
}

// remove deletes manifests first, and durably: a crash must not bring one back whose chunks have gone.
func (d *filesDeletion) remove(ctx context.Context, at string, batch []storage.Object) error {
	var needed found
	d.folders = nil // a backup may have begun meanwhile
	if err := d.check(ctx, batch, &needed); err != nil {
		return err
	}
	if err := needed.refusal("a part of " + at); err != nil {
		return err
	}
	var manifests, others []string
	for _, o := range batch {
		if _, place, ours := locate(o.Key); ours && place.IsManifest() {
			manifests = append(manifests, o.Key)
		} else {
			others = append(others, o.Key)
		}
		d.changed.Objects, d.changed.Bytes = d.changed.Objects+1, d.changed.Bytes+o.Size
	}
	if len(manifests) > 0 {
		if err := storage.DeleteMany(ctx, d.store, manifests); err != nil {
			return err
		}
		if err := d.store.Sync(ctx); err != nil {
			return err
		}
	}
	if err := storage.DeleteMany(ctx, d.store, others); err != nil {
		return err
	}
	d.pulse.set(d.changed)
	return nil
}
