package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// SetVerification records the outcome of a check of a backup; a finished one may be checked again.
// A check that read every byte is also what the scrub goes by. Errors: ErrNotFound.
func (q *Queries) SetVerification(ctx context.Context, id string, v domain.Verification) error {
	op := "record the verification of execution " + id
	if err := checkID(op, id); err != nil {
		return err
	}
	return q.setVerification(ctx, op, id, v, readAt(v))
}

func (q *Queries) setVerification(ctx context.Context, op, id string, v domain.Verification, read *time.Time) error {
	v.Message = cleanText(v.Message)
	part, err := json.Marshal(map[string]any{"verification": v})
	if err != nil {
		return failure.Wrap(failure.Unknown, op, err, "")
	}
	n, err := q.q.SetVerification(ctx, dbgen.SetVerificationParams{ID: id, Part: part, ReadAt: read})
	return oneRow(op, n, err)
}

// readAt is when every byte was read, nil for a check that did not.
func readAt(v domain.Verification) *time.Time {
	if v.Mode == domain.VerifyQuick {
		return nil
	}
	return &v.VerifiedAt
}

// Check is the outcome of checking one copy of a backup, damaged or not.
type Check struct {
	Copy         Copy
	Verification domain.Verification
	Damaged      []DamagedObject // what was found, MaxDamageListed at most
	// Damage that other checks of the same objects have found and this one did not look at again.
	AlsoDamaged []string
	// Alert is written when the backup was taken for good until now and is not; nil for none.
	Alert *Notification
}

// RecordCheck records what a check of a kept backup found: the damaged objects, those that are whole
// again, the backup's verification, and that of every other backup on the location that needs one of
// them. Errors: ErrNotFound for a backup that is being deleted, whose objects may be missing rightly.
func (q *Queries) RecordCheck(ctx context.Context, c Check) error {
	op := "record the check of execution " + c.Copy.ExecutionID
	if err := checkID(op, c.Copy.ExecutionID); err != nil {
		return err
	}
	return q.inTx(ctx, func(q *Queries) error {
		row, err := q.q.LockKeptBackup(ctx, c.Copy.ExecutionID)
		if err != nil {
			return translate(op, err)
		}
		if c.Alert != nil && row.WasOk && !c.Verification.OK {
			if err := q.AddNotification(ctx, *c.Alert); err != nil {
				return err
			}
		}
		if err := q.putDamage(ctx, op, c); err != nil {
			return err
		}
		if err := q.clearDamage(ctx, op, c); err != nil {
			return err
		}
		if err := q.recordOutcome(ctx, op, c, row.WasUnreadable); err != nil {
			return err
		}
		return q.markBackups(ctx, op, c.Copy.StorageLocationID, string(c.Verification.Mode))
	})
}

// recordOutcome records what a check says of the backup, and when the copy was read. That the engine can not read a dump whose
// bytes are those that were stored is a fault of the backup, whichever copy showed it. Only what lets the engine read it
// again can take that back: every other check finds it as it always was, and would make it good to build on and to outlive others.
func (q *Queries) recordOutcome(ctx context.Context, op string, c Check, wasUnreadable bool) error {
	v := c.Verification
	read := readAt(v)
	if !c.Copy.IsPrimary {
		if read != nil {
			_, err := q.q.SetReplicaVerified(ctx, dbgen.SetReplicaVerifiedParams{
				ExecutionID: c.Copy.ExecutionID, StorageLocationID: c.Copy.StorageLocationID, VerifiedAt: read,
			})
			if err != nil {
				return translate(op, err)
			}
		}
		if !unreadable(v) {
			return nil
		}
		read = nil // when the primary was read is another matter
	}
	if engineRead := v.Mode == domain.VerifyFull && v.Damaged == 0; wasUnreadable && !engineRead {
		_, err := q.q.SetVerification(ctx, dbgen.SetVerificationParams{ID: c.Copy.ExecutionID, Part: json.RawMessage("{}"), ReadAt: read})
		return translate(op, err)
	}
	return q.setVerification(ctx, op, c.Copy.ExecutionID, v, read)
}

// unreadable: all bytes are those that were stored, and the engine can not read them.
func unreadable(v domain.Verification) bool {
	return v.Mode == domain.VerifyFull && !v.OK && v.Damaged == 0
}

func (q *Queries) putDamage(ctx context.Context, op string, c Check) error {
	if len(c.Damaged) == 0 {
		return nil
	}
	params := dbgen.PutDamageParams{StorageLocationID: c.Copy.StorageLocationID}
	for _, d := range c.Damaged {
		id := []byte{} // a manifest: NULL in the row
		if d.ChunkID != nil {
			id = d.ChunkID[:]
		}
		params.ObjectKeys, params.ChunkIds = append(params.ObjectKeys, d.Key), append(params.ChunkIds, id)
		params.Folders, params.Reasons = append(params.Folders, d.Folder), append(params.Reasons, cleanText(d.Reason))
	}
	return translate(op, q.q.PutDamage(ctx, params))
}

// clearDamage marks as healed what an earlier check found and a check of every byte no longer does:
// somebody put the object back.
func (q *Queries) clearDamage(ctx context.Context, op string, c Check) error {
	if readAt(c.Verification) == nil || len(c.Damaged) >= MaxDamageListed {
		return nil
	}
	still := append([]string{}, c.AlsoDamaged...)
	for _, d := range c.Damaged {
		if d.ChunkID == nil {
			return nil // without its manifest, nothing else of the backup was looked at
		}
		still = append(still, d.Key)
	}
	_, err := q.q.ClearDamage(ctx, dbgen.ClearDamageParams{
		StorageLocationID: c.Copy.StorageLocationID, ExecutionID: c.Copy.ExecutionID, ManifestPath: c.Copy.ManifestPath, StillDamaged: still,
	})
	return translate(op, err)
}
