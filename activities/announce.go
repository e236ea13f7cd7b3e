package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// AnnounceDamage writes one alert about the damage on a storage location that nobody was told of yet.
// The same damage, found again by every check until it is mended, is not told again.
func (a *Activities) AnnounceDamage(ctx context.Context, in contract.AnnounceInput) (contract.Nothing, error) {
	location, err := a.DB.GetStorageLocation(ctx, in.StorageLocationID)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	err = a.DB.AnnounceDamage(ctx, location.ID, func(q *db.Queries, fresh []db.FreshDamage) (db.Notification, error) {
		keys := make([]string, len(fresh))
		for i, d := range fresh {
			keys[i] = d.Key
		}
		needed, err := q.BackupsThatNeed(ctx, location.ID, keys)
		n := alertOf(location, fresh, needed, in.Notes)
		return *a.linked(ctx, &n), err
	})
	a.at("verify.announced")
	return contract.Nothing{}, toTemporal(ctx, err)
}

// alertOf is critical while anything is damaged, and a warning about what was healed at once: a disk
// that rots will do it again.
func alertOf(location db.StorageLocation, fresh []db.FreshDamage, needed map[string][]db.NeedingBackup, notes []string) db.Notification {
	n := db.Notification{EntityType: domain.EntityStorageLocation, EntityID: location.ID}
	objects, damaged := make([]db.DamagedObject, len(fresh)), 0
	for i, d := range fresh {
		objects[i] = db.DamagedObject{Key: d.Key, Reason: d.Reason}
		if !d.Healed {
			damaged++
		}
	}
	backups, hint := backupsOf(needed), "Look at the health of the disk or the service behind it."
	what := fmt.Sprintf("%d stored objects: %s. %s", len(fresh), listed(objects, int64(len(fresh))), namedBackups(backups))
	if damaged == 0 {
		n.Type, n.Severity = domain.NotifyHealthDegraded, domain.SeverityWarning
		n.Title = fmt.Sprintf("Healed %d damaged objects on %s", len(fresh), quoted(location.Name))
		n.Message = "Storage location " + quoted(location.Name) + " had damaged " + what +
			" All of them were written anew from a copy on another storage location."
	} else {
		n.Type, n.Severity = domain.NotifyBackupFailed, domain.SeverityCritical
		n.Title = fmt.Sprintf("%d damaged objects on %s", damaged, quoted(location.Name))
		n.Message = "Storage location " + quoted(location.Name) + " has damaged " + what +
			" These backups can not be restored whole."
		hint = "Make a new full backup now, put the objects back from a copy of the location where there is one, verify again, and look at the health of the disk or the service behind it."
	}
	if len(notes) > 0 {
		n.Message += " Not healed: " + strings.Join(notes, "; ") + "."
	}
	n.Metadata = map[string]any{"objects": len(fresh), "damaged": damaged, "execution_ids": executionIDs(backups), "hint": hint}
	if len(backups) == 1 {
		n.Metadata["execution_id"] = backups[0].ExecutionID
	}
	return n
}

// backupsOf lists each backup once, oldest first.
func backupsOf(needed map[string][]db.NeedingBackup) []db.NeedingBackup {
	var all []db.NeedingBackup
	seen := map[string]bool{}
	for _, backups := range needed {
		for _, b := range backups {
			if !seen[b.ExecutionID] {
				seen[b.ExecutionID] = true
				all = append(all, b)
			}
		}
	}
	slices.SortFunc(all, func(a, b db.NeedingBackup) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return all
}

func namedBackups(backups []db.NeedingBackup) string {
	if len(backups) == 0 {
		return "No backup needs them any more."
	}
	var names []string
	for _, b := range backups[:min(len(backups), mostNamed)] {
		name := b.ExecutionID
		if b.JobName != "" {
			name += " of job " + quoted(b.JobName)
		}
		names = append(names, name)
	}
	if rest := len(backups) - len(names); rest > 0 {
		names = append(names, fmt.Sprintf("and %d more", rest))
	}
	return fmt.Sprintf("%d backups need them: %s.", len(backups), strings.Join(names, ", "))
}

func executionIDs(backups []db.NeedingBackup) []string {
	ids := []string{}
	for _, b := range backups[:min(len(backups), 100)] {
		ids = append(ids, b.ExecutionID)
	}
	return ids
}

// LogExecution adds a line to the log of an execution.
func (a *Activities) LogExecution(ctx context.Context, in contract.LogInput) (contract.Nothing, error) {
	a.log(ctx, in.ExecutionID, in.Level, "%s", in.Message)
	return contract.Nothing{}, nil
}
