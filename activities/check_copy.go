package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// copyCheck is one check of one copy of a backup.
type copyCheck struct {
	a        *Activities
	copy     db.Copy
	location db.StorageLocation
	store    storage.Store
	mode     domain.VerifyMode
	// shared is what a check of several backups that share objects remembers, nil for one backup.
	shared *sharedObjects
	follow func(*byteCounter) // is told what to report the progress of

	found   archive.Findings
	damaged []db.DamagedObject
	wrong   error // of the backup, but of no single object
}

// CheckCopy checks a kept backup on one of its storage locations, to the end, and records what is
// damaged. Only what keeps it from checking is an error.
func (a *Activities) CheckCopy(ctx context.Context, in contract.CopyRef) (contract.CopyCheck, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	result, err := a.checkCopy(ctx, in)
	return result, toTemporal(ctx, err)
}

func (a *Activities) checkCopy(ctx context.Context, in contract.CopyRef) (contract.CopyCheck, error) {
	found, err := a.DB.GetCopy(ctx, in.BackupID, in.StorageLocationID)
	if err != nil {
		return contract.CopyCheck{}, err
	}
	location, store, err := a.openLocation(ctx, in.StorageLocationID)
	if err != nil {
		return contract.CopyCheck{}, err
	}
	defer func() { _ = store.Close() }()
	progress := newCheckProgress()
	stop := a.report(ctx, in.BackupID, progress.now)
	defer stop()
	c := &copyCheck{a: a, copy: found, location: location, store: store, mode: in.Mode, follow: progress.follow}
	if err := c.run(ctx); err != nil {
		return contract.CopyCheck{}, failure.WithSubject(err, aboutStorage(location.Name))
	}
	return c.result(), nil
}

// openLocation opens a storage location and makes sure that it holds its repository: what is not
// mounted is not damaged, and not removed. What was wiped is open, and empty.
func (a *Activities) openLocation(ctx context.Context, id string) (db.StorageLocation, storage.Store, error) {
	location, store, err := a.lookAt(ctx, id)
	if err != nil {
		return location, nil, err
	}
	if _, err := a.checkRepository(ctx, location, store); err != nil {
		_ = store.Close()
		return location, nil, err
	}
	return location, store, nil
}

func (c *copyCheck) run(ctx context.Context) error {
	if err := c.look(ctx); err != nil {
		return err
	}
	if c.found.Count > 0 {
		if err := c.stillThere(ctx); err != nil {
			return err
		}
	}
	if err := c.record(ctx); err != nil {
		return err
	}
	c.a.at("verify.checked")
	return nil
}

// stillThere: a disk that vanished meanwhile looks like one that lost everything.
func (c *copyCheck) stillThere(ctx context.Context) error {
	_, err := c.a.checkRepository(ctx, c.location, c.store)
	return err
}

func (c *copyCheck) look(ctx context.Context) error {
	manifest, err := archive.OpenManifest(ctx, c.store, c.copy.ManifestPath, c.copy.ManifestSHA256)
	if err != nil {
		return c.manifestDamaged(err)
	}
	counter := newByteCounter(domain.PhaseVerifying, manifest)
	c.follow(counter)
	options := archive.DamageOptions{Progress: counter.seen, Skip: c.shared.skip(manifest)}
	switch c.mode {
	case domain.VerifyQuick:
		c.found, err = archive.FindMissing(ctx, c.store, manifest, options)
	case domain.VerifyBytes:
		c.found, err = archive.FindChangedBytes(ctx, c.store, manifest, options)
	default:
		err = c.decode(ctx, manifest, counter, options)
	}
	if err != nil {
		return err
	}
	c.note(manifest)
	c.shared.saw(manifest, c.found)
	return nil
}

// note lists what was found as the catalogue knows it.
func (c *copyCheck) note(manifest *archive.Manifest) {
	for _, d := range c.found.Damaged {
		id := [32]byte(manifest.Objects[d.Object].ID)
		c.damaged = append(c.damaged, db.DamagedObject{Key: d.Key, ChunkID: &id, Folder: manifest.Folder(d.Object), Reason: d.Reason})
	}
}

// manifestDamaged makes a manifest that is missing or changed what was found; any other error stays
// one. Nothing else of the backup can be looked at then.
func (c *copyCheck) manifestDamaged(err error) error {
	reason := ""
	switch {
	case errors.Is(err, storage.ErrNotFound):
		reason = "the manifest is missing"
	case failure.ClassOf(err) == failure.Corrupt:
		reason = "the manifest is damaged: " + failure.Redact(err.Error())
	default:
		return err
	}
	c.found = archive.Findings{Objects: 1, Count: 1}
	c.damaged = []db.DamagedObject{{Key: c.copy.ManifestPath, Reason: reason}}
	return nil
}

// decode reads everything as a restore does. A full check lets the engine read its own format, which
// reads every byte in passing; only when that finds damage is everything read again, to its end.
func (c *copyCheck) decode(ctx context.Context, manifest *archive.Manifest, counter *byteCounter, options archive.DamageOptions) error {
	identities, err := c.a.identities(ctx)
	if err != nil {
		return err
	}
	reader, err := archive.NewReader(c.store, manifest, identities, archive.ReaderOptions{})
	switch {
	case failure.ClassOf(err) == failure.Corrupt:
		return c.manifestDamaged(err)
	case failure.ClassOf(err) == failure.AuthFailed && c.mode == domain.VerifyChunks:
		c.mode = domain.VerifyBytes // of another installation: its bytes can be compared all the same
		c.found, err = archive.FindChangedBytes(ctx, c.store, manifest, options)
		return err
	case err != nil:
		return err
	}
	if c.mode == domain.VerifyFull {
		whole, err := c.inspect(ctx, manifest, reader, counter)
		if err != nil || whole {
			return err
		}
	}
	c.found, err = reader.FindDamage(ctx, options)
	return err
}

// inspect lets the engine read every stream. whole: all bytes were read and are right; what is
// wrong with the dump itself is in c.wrong.
func (c *copyCheck) inspect(ctx context.Context, manifest *archive.Manifest, reader *archive.Reader, counter *byteCounter) (whole bool, err error) {
	chosen, err := c.a.engineReading(manifest)
	if err != nil {
		return false, err
	}
	for _, s := range manifest.Streams {
		tables, err := inspect(ctx, chosen, reader, s, counter)
		if failure.ClassOf(err) == failure.Corrupt {
			c.wrong = err
			return false, nil //nolint:nilerr // damage is what a check is for, not what stops it
		}
		if err != nil {
			return false, err
		}
		c.a.log(ctx, c.copy.ExecutionID, "info", "stream %s reads back whole and lists %d tables", s.Name, tables)
	}
	c.found = archive.Findings{Objects: int64(len(manifest.Objects)), Bytes: manifest.StoredBytes()}
	return true, nil
}

// record writes down what was found, with the backup's own log line.
func (c *copyCheck) record(ctx context.Context) error {
	check := c.check()
	check.Alert = c.a.linked(ctx, check.Alert)
	if err := c.a.DB.RecordCheck(ctx, check); err != nil {
		return err
	}
	v, level := check.Verification, "info"
	if !v.OK {
		level = "error"
	}
	c.a.log(ctx, c.copy.ExecutionID, level, "verified (%s) on %s: %s", v.Mode, c.location.Name, v.Message)
	return nil
}

// check is what the catalogue gets.
func (c *copyCheck) check() db.Check {
	v := c.verification()
	check := db.Check{Copy: c.copy, Verification: v, Damaged: c.damaged, AlsoDamaged: c.shared.damagedKeys()}
	if len(c.damaged) == 0 { // damaged objects have an alert of their own, once it is known what can be healed
		check.Alert = &db.Notification{
			Type: domain.NotifyBackupFailed, Severity: domain.SeverityCritical,
			EntityType: domain.EntityStorageLocation, EntityID: c.location.ID,
			Title:    "A backup on " + quoted(c.location.Name) + " does not verify",
			Message:  fmt.Sprintf("Backup %s: %s.", c.copy.ExecutionID, v.Message),
			Metadata: map[string]any{"execution_id": c.copy.ExecutionID, "hint": "Make a new full backup, and keep this one until that is verified."},
		}
	}
	return check
}

func (c *copyCheck) verification() domain.Verification {
	v := domain.Verification{
		Mode: c.mode, OK: c.found.Count == 0 && c.wrong == nil, Objects: c.found.Objects, Bytes: c.found.Bytes,
		Damaged: c.found.Count, VerifiedAt: time.Now().UTC(),
	}
	switch {
	case c.found.Count > 0:
		v.Message = fmt.Sprintf("%d of %d objects are damaged: %s", c.found.Count, c.found.Objects, listed(c.damaged, c.found.Count))
	case c.wrong != nil:
		v.Message = failure.Redact(c.wrong.Error())
	default:
		v.Message = fmt.Sprintf("%d objects, %d bytes checked", c.found.Objects, c.found.Bytes)
	}
	return v
}

// mostNamed is how many objects or backups a message names.
const mostNamed = 5

// listed names the first objects and counts the rest.
func listed(objects []db.DamagedObject, count int64) string {
	var names []string
	for _, d := range objects[:min(len(objects), mostNamed)] {
		names = append(names, d.Key+" ("+d.Reason+")")
	}
	if rest := count - int64(len(names)); rest > 0 {
		names = append(names, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(names, ", ")
}

func (c *copyCheck) result() contract.CopyCheck {
	return contract.CopyCheck{
		OK: c.found.Count == 0 && c.wrong == nil, Backups: 1, Objects: c.found.Objects, Bytes: c.found.Bytes, Damaged: c.found.Count,
	}
}
