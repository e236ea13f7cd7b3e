package db

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// DamagedObject is an object on a storage location that is not what was stored.
type DamagedObject struct {
	StorageLocationID string
	Key               string
	ChunkID           *[32]byte // nil: a manifest
	Folder            string    // of chunks/, see Chunk.Generation; "" for a manifest
	Reason            string    // "it is missing"
	FoundAt           time.Time
	HealedAt          *time.Time
}

// NeedingBackup is a kept backup that needs a damaged object.
type NeedingBackup struct {
	ExecutionID  string
	DatasourceID *string
	JobID        *string
	JobName      string // "" when the job is gone
	CreatedAt    time.Time
}

// PageDamage reads the damaged objects of a storage location in the order of their keys, after the
// given one ("" for the first), limit at most. healed adds those that are whole again.
func (q *Queries) PageDamage(ctx context.Context, storageLocationID, after string, limit int, healed bool) ([]DamagedObject, error) {
	op := "list the damaged objects of storage location " + storageLocationID
	if err := checkID(op, storageLocationID); err != nil {
		return nil, err
	}
	rows, err := q.q.PageDamage(ctx, dbgen.PageDamageParams{
		StorageLocationID: storageLocationID, AfterKey: unlessZero(after), HealedToo: healed, PageSize: int32(limit), //nolint:gosec // a page
	})
	if err != nil {
		return nil, translate(op, err)
	}
	return convert(rows, func(row dbgen.DamagedObject) (DamagedObject, error) {
		out := DamagedObject{
			StorageLocationID: row.StorageLocationID, Key: row.ObjectKey, Folder: row.Folder, Reason: row.Reason,
			FoundAt: row.FoundAt, HealedAt: row.HealedAt,
		}
		if len(row.ChunkID) == 32 {
			id := [32]byte(row.ChunkID)
			out.ChunkID = &id
		}
		return out, nil
	})
}

// BackupsThatNeed finds, for each of some objects of a storage location, the kept backups that need
// it, oldest first. An object that nothing needs is not in the answer.
func (q *Queries) BackupsThatNeed(ctx context.Context, storageLocationID string, keys []string) (map[string][]NeedingBackup, error) {
	return q.thatNeed(ctx, storageLocationID, keys, keys)
}

// BackupsThatNeedAll is BackupsThatNeed for objects that were read: of a page without manifests, which most are, nobody looks for
// those.
func (q *Queries) BackupsThatNeedAll(ctx context.Context, storageLocationID string, objects []DamagedObject) (map[string][]NeedingBackup, error) {
	var chunks, manifests []string
	for _, object := range objects {
		if object.ChunkID != nil {
			chunks = append(chunks, object.Key)
		} else {
			manifests = append(manifests, object.Key)
		}
	}
	return q.thatNeed(ctx, storageLocationID, chunks, manifests)
}

func (q *Queries) thatNeed(ctx context.Context, storageLocationID string, chunks, manifests []string) (map[string][]NeedingBackup, error) {
	const op = "find the backups that need damaged objects"
	if err := checkID(op, storageLocationID); err != nil {
		return nil, err
	}
	needed := make(map[string][]NeedingBackup)
	add := func(row dbgen.BackupsThatNeedChunksRow) {
		needed[row.ObjectKey] = append(needed[row.ObjectKey], NeedingBackup{
			ExecutionID: row.ID, DatasourceID: row.DatasourceID, JobID: row.JobID, JobName: row.JobName, CreatedAt: row.CreatedAt,
		})
	}
	if len(chunks) > 0 {
		rows, err := q.q.BackupsThatNeedChunks(ctx, dbgen.BackupsThatNeedChunksParams{StorageLocationID: storageLocationID, ObjectKeys: chunks})
		if err != nil {
			return nil, translate(op, err)
		}
		for _, row := range rows {
			add(row)
		}
	}
	if len(manifests) > 0 {
		rows, err := q.q.BackupsOfManifests(ctx, dbgen.BackupsOfManifestsParams{StorageLocationID: storageLocationID, ObjectKeys: manifests})
		if err != nil {
			return nil, translate(op, err)
		}
		for _, row := range rows {
			add(dbgen.BackupsThatNeedChunksRow(row))
		}
	}
	return needed, nil
}

// MarkHealed records that a damaged object holds again what was stored, and marks every backup as
// good that has no other damage. announced: people were told of the damage. Marking again changes
// nothing.
func (q *Queries) MarkHealed(ctx context.Context, storageLocationID, key string) (announced bool, err error) {
	op := "record that " + key + " is healed"
	if err := checkID(op, storageLocationID); err != nil {
		return false, err
	}
	err = q.inTx(ctx, func(q *Queries) error {
		rows, err := q.q.HealDamage(ctx, dbgen.HealDamageParams{StorageLocationID: storageLocationID, ObjectKey: key})
		if err != nil {
			return translate(op, err)
		}
		announced = slices.Contains(rows, true)
		return q.markBackups(ctx, op, storageLocationID, "")
	})
	return announced, err
}

// MaxDamageListed is how many damaged objects a check lists; it counts all.
const MaxDamageListed = 1000

// markBackups makes metadata.verification of every backup on a location say what damaged_objects
// says. mode is for those that were never verified.
func (q *Queries) markBackups(ctx context.Context, op, storageLocationID, mode string) error {
	_, err := q.q.MarkDamagedBackups(ctx, dbgen.MarkDamagedBackupsParams{StorageLocationID: storageLocationID, Mode: mode})
	if err != nil {
		return translate(op, err)
	}
	_, err = q.q.MarkHealedBackups(ctx, dbgen.MarkHealedBackupsParams{StorageLocationID: storageLocationID, MostListed: MaxDamageListed})
	return translate(op, err)
}

// ForgetDamage drops what is recorded about objects that no backup needs any more.
func (q *Queries) ForgetDamage(ctx context.Context, storageLocationID string) error {
	const op = "forget the damage of deleted backups"
	if err := checkID(op, storageLocationID); err != nil {
		return err
	}
	return translate(op, q.q.ForgetDamage(ctx, storageLocationID))
}

// FreshDamage is damage that was not announced yet.
type FreshDamage struct {
	Key    string
	Reason string
	Healed bool // it was mended before anybody was told
}

// AnnounceDamage writes one notification about the damage on a storage location that no
// notification was about yet, and marks it as announced, in one transaction. Where there is none, it
// does nothing.
func (q *Queries) AnnounceDamage(ctx context.Context, storageLocationID string, describe func(q *Queries, fresh []FreshDamage) (Notification, error)) error {
	op := "announce the damage of storage location " + storageLocationID
	if err := checkID(op, storageLocationID); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		rows, err := q.q.TakeUnannounced(ctx, storageLocationID)
		if err != nil || len(rows) == 0 {
			return translate(op, err)
		}
		fresh := make([]FreshDamage, len(rows))
		for i, row := range rows {
			fresh[i] = FreshDamage{Key: row.ObjectKey, Reason: row.Reason, Healed: row.Healed}
		}
		slices.SortFunc(fresh, func(a, b FreshDamage) int { return strings.Compare(a.Key, b.Key) })
		n, err := describe(q, fresh)
		if err != nil {
			return err
		}
		return q.AddNotification(ctx, n)
	})
}
