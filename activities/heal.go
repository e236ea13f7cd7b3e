package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const (
	healPage  = 200 // damaged objects that are looked at together
	mostNotes = 5
	mostTries = 3 // backups through which a copy of one object is looked for
)

// HealStorage mends the damaged objects of a storage location from copies of their backups on other
// locations of the same pool. Each is replaced atomically, by bytes that have the recorded SHA-256.
func (a *Activities) HealStorage(ctx context.Context, in contract.StorageRef) (contract.HealResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	location, store, err := a.openLocation(ctx, in.StorageLocationID)
	if err != nil {
		return contract.HealResult{}, toTemporal(ctx, err)
	}
	defer func() { _ = store.Close() }()
	h := &healer{a: a, location: location, store: store, sources: map[string]*source{}, rows: map[string]int{}}
	defer h.close()
	pulse := startPulse(ctx, a.Tuning.ProgressEvery, struct{}{})
	defer pulse.stop()
	// Where everything was wiped, the repository is the first that comes back.
	if err = a.bindRepository(ctx, location, store); err == nil {
		err = h.all(ctx)
	}
	return h.result, toTemporal(ctx, failure.WithSubject(err, aboutStorage(location.Name)))
}

// healer mends one storage location.
type healer struct {
	a        *Activities
	location db.StorageLocation
	store    storage.Store
	sources  map[string]*source
	opened   openedManifest // the last one: damaged objects that lie together are of the same backup
	rows     map[string]int // damaged objects that are recorded, by execution
	told     int64          // healed objects of whose damage people were told
	result   contract.HealResult
}

// source is another storage location; why says why it can not be read.
type source struct {
	name  string
	store storage.Store
	why   string
}

// openedManifest is the manifest of a backup, with its objects by name.
type openedManifest struct {
	executionID string
	manifest    *archive.Manifest
	index       map[objectName]int
}

func (h *healer) close() {
	for _, s := range h.sources {
		if s.store != nil {
			_ = s.store.Close()
		}
	}
}

func (h *healer) all(ctx context.Context) error {
	for after := ""; ; {
		page, err := h.a.DB.PageDamage(ctx, h.location.ID, after, healPage, false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		keys := make([]string, len(page))
		for i, d := range page {
			keys[i] = d.Key
		}
		needed, err := h.a.DB.BackupsThatNeed(ctx, h.location.ID, keys)
		if err != nil {
			return err
		}
		for _, d := range page {
			if err := h.one(ctx, d, needed[d.Key]); err != nil {
				return err
			}
		}
		after = keys[len(keys)-1]
	}
	// A check records so many damaged objects at most: of a backup that has them there may be more.
	for executionID, rows := range h.rows {
		if rows < db.MaxDamageListed {
			continue
		}
		if err := h.refill(ctx, executionID); err != nil {
			return err
		}
	}
	return h.tell(ctx)
}

// one mends an object from the first copy that has it. What keeps it from being mended is noted.
func (h *healer) one(ctx context.Context, d db.DamagedObject, needed []db.NeedingBackup) error {
	for _, backup := range needed {
		h.rows[backup.ExecutionID]++
	}
	for _, backup := range needed[:min(len(needed), mostTries)] {
		from, err := h.fromCopies(ctx, backup.ExecutionID, func(c db.Copy, from *source) error { return h.mend(ctx, d, c, from) })
		if err != nil {
			return err
		}
		if from != nil {
			return h.mended(ctx, d, needed, from)
		}
	}
	h.result.Left++
	return nil
}

// fromCopies works with one copy of a backup on another location after the other until that succeeds, and
// returns which did it, nil for none. What is in the way of each is noted.
func (h *healer) fromCopies(ctx context.Context, executionID string, work func(c db.Copy, from *source) error) (*source, error) {
	copies, err := h.a.DB.ListCopies(ctx, executionID)
	if err != nil {
		return nil, err
	}
	copies = slices.DeleteFunc(copies, func(c db.Copy) bool { return c.StorageLocationID == h.location.ID })
	if len(copies) == 0 {
		h.note("no other storage location has a copy of backup " + executionID)
	}
	for _, c := range copies {
		from, err := h.source(ctx, c.StorageLocationID)
		if err != nil {
			return nil, err
		}
		if from.why != "" {
			h.note(from.why)
			continue
		}
		err = work(c, from)
		switch {
		case err == nil:
			return from, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		h.note(fmt.Sprintf("from %s: %s", quoted(from.name), failure.Redact(err.Error())))
	}
	return nil, nil
}

// source opens another location once.
func (h *healer) source(ctx context.Context, id string) (*source, error) {
	if known := h.sources[id]; known != nil {
		return known, nil
	}
	location, err := h.a.DB.GetStorageLocation(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &source{name: location.Name}
	switch {
	case location.Pool != h.location.Pool:
		s.why = fmt.Sprintf("the copy on %s is reached by workers of pool %s, this location by those of pool %s", quoted(location.Name), location.Pool, h.location.Pool)
	case !location.Enabled:
		s.why = "storage location " + quoted(location.Name) + " with a copy is disabled"
	default:
		if _, s.store, err = h.a.openLocation(ctx, id); err != nil {
			s.store, s.why = nil, failure.Redact(err.Error())
		}
	}
	h.sources[id] = s
	return s, nil
}

func (h *healer) mend(ctx context.Context, d db.DamagedObject, c db.Copy, from *source) error {
	if d.ChunkID == nil {
		return h.mendManifest(ctx, d, c, from)
	}
	opened, err := h.manifest(ctx, c, from)
	if err != nil {
		return err
	}
	index, found := opened.index[objectName{*d.ChunkID, d.Folder}]
	if !found {
		return failure.New(failure.NotFound, "look for the object in the manifest", "it is not there", "")
	}
	return archive.HealObject(ctx, from.store, h.store, opened.manifest, index)
}

func (h *healer) mendManifest(ctx context.Context, d db.DamagedObject, c db.Copy, from *source) error {
	if err := h.copyIfMuch(ctx, c, from); err != nil {
		return err
	}
	if err := archive.HealManifest(ctx, from.store, c.ManifestPath, h.store, d.Key, c.ManifestSHA256); err != nil {
		return err
	}
	_, err := h.a.DB.GetCopy(ctx, c.ExecutionID, h.location.ID)
	if errors.Is(err, db.ErrNotFound) {
		// It was deleted meanwhile, and the deletion may have been here already: a manifest that came back would
		// be a backup that nobody knows.
		uncancelled := context.WithoutCancel(ctx)
		return errors.Join(err, h.store.Delete(uncancelled, d.Key), h.store.Sync(uncancelled))
	}
	return err
}

// manifest reads the manifest of a backup from its copy, which has the recorded SHA-256 or is not
// used.
func (h *healer) manifest(ctx context.Context, c db.Copy, from *source) (openedManifest, error) {
	if h.opened.executionID == c.ExecutionID {
		return h.opened, nil
	}
	m, err := archive.OpenManifest(ctx, from.store, c.ManifestPath, c.ManifestSHA256)
	if err != nil {
		return openedManifest{}, err
	}
	h.opened = openedManifest{executionID: c.ExecutionID, manifest: m, index: make(map[objectName]int, len(m.Objects))}
	for i := range m.Objects {
		h.opened.index[objectName{m.Objects[i].ID, m.Folder(i)}] = i
	}
	return h.opened, nil
}

// mended records what was written, and says so in the log of every backup that needs it.
func (h *healer) mended(ctx context.Context, d db.DamagedObject, needed []db.NeedingBackup, from *source) error {
	h.a.at("heal.object_written")
	told, err := h.a.DB.MarkHealed(ctx, h.location.ID, d.Key)
	if err != nil {
		return err
	}
	h.a.at("heal.object_recorded")
	h.result.Healed++
	if told {
		h.told++
	}
	for _, backup := range needed[:min(len(needed), mostNamed)] {
		h.a.log(ctx, backup.ExecutionID, "warning", "healed %s from storage location %s: %s", d.Key, quoted(from.name), d.Reason)
	}
	return nil
}

func (h *healer) note(text string) {
	if len(h.result.Notes) < mostNotes && !slices.Contains(h.result.Notes, text) {
		h.result.Notes = append(h.result.Notes, text)
	}
}

// tell ends an alert that people were sent: the damage it was about is healed.
func (h *healer) tell(ctx context.Context) error {
	if h.told == 0 {
		return nil
	}
	return h.a.DB.AddNotification(ctx, *h.a.linked(ctx, &db.Notification{
		Type: domain.NotifyBackupSuccess, Severity: domain.SeverityInfo, EntityType: domain.EntityStorageLocation, EntityID: h.location.ID,
		Title:   fmt.Sprintf("Healed %d damaged objects on %s", h.told, quoted(h.location.Name)),
		Message: fmt.Sprintf("They were written anew from copies on other storage locations and read back; %d damaged objects are left.", h.result.Left),
	}))
}
