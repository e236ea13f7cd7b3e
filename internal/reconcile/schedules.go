package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// recheckAfter is how long the schedules of a storage location, of which there are few, are believed to be right.
const recheckAfter = 5 * time.Minute

// Schedules keeps the Temporal schedules of the storage locations as the catalogue wants them. Several
// processes may each have one.
type Schedules struct {
	db       *db.DB
	temporal client.Client
	right    map[string]string // storage location -> the version of it that its schedule is for
	checked  time.Time
}

// NewSchedules returns a Schedules that has looked at nothing yet.
func NewSchedules(database *db.DB, temporal client.Client) *Schedules {
	return &Schedules{db: database, temporal: temporal}
}

// Forget makes the next Ensure look at all of them: Temporal may have lost its data.
func (s *Schedules) Forget() { s.checked = time.Time{} }

// Ensure makes a schedule for every storage location that has none, corrects those of locations that
// have changed, and deletes those of locations that are gone. A pause that somebody made stays, and is told. It looks at all of them the first time
// and when it was long ago, else only at what has changed in the catalogue.
func (s *Schedules) Ensure(ctx context.Context) error {
	all := time.Since(s.checked) > recheckAfter
	if all {
		s.right = map[string]string{}
	}
	there, err := s.locations(ctx)
	if err != nil {
		return err
	}
	for id, location := range there {
		version := fmt.Sprintf("%s %s", location.Pool, location.Name)
		if s.right[id] == version {
			continue
		}
		for _, kind := range storageSchedules {
			if err := s.put(ctx, kind, location); err != nil {
				return fmt.Errorf("schedule the %s of storage location %q: %w", kind.operation, location.Name, err)
			}
		}
		s.right[id] = version
	}
	for id := range s.right {
		if _, exists := there[id]; !exists {
			for _, kind := range storageSchedules {
				if err := s.remove(ctx, kind.id(id)); err != nil {
					return err
				}
			}
			delete(s.right, id)
		}
	}
	if all {
		if err := s.removeForgotten(ctx, there); err != nil {
			return err
		}
		s.checked = time.Now()
	}
	return nil
}

func (s *Schedules) locations(ctx context.Context) (map[string]db.StorageLocation, error) {
	there := map[string]db.StorageLocation{}
	page := db.Page{Limit: db.MaxPageSize}
	for {
		rows, next, err := s.db.ListStorageLocations(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			there[row.ID] = row
		}
		if next == "" {
			return there, nil
		}
		page.Cursor = next
	}
}

// put makes the schedule, or gives the one that is there the right content, and tells people of a pause.
func (s *Schedules) put(ctx context.Context, kind storageSchedule, location db.StorageLocation) error {
	wanted := kind.interval(location)
	_, pause, err := schedule.PutInterval(ctx, s.temporal, wanted)
	if err != nil {
		return err
	}
	return tellPause(ctx, s.db, wanted.ID, pause, fmt.Sprintf("It is the %s of storage location %q. %s", kind.operation, location.Name, kind.paused))
}

// removeForgotten deletes schedules of locations that went while nobody looked.
func (s *Schedules) removeForgotten(ctx context.Context, there map[string]db.StorageLocation) error {
	listed, err := s.temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 1000})
	if err != nil {
		return err
	}
	for listed.HasNext() {
		entry, err := listed.Next()
		if err != nil {
			return err
		}
		id, ours := storageOf(entry.ID)
		if _, exists := there[id]; !ours || exists {
			continue
		}
		// One that was created since the locations were read is not to go.
		if _, err := s.db.GetStorageLocation(ctx, id); errors.Is(err, db.ErrNotFound) {
			err = s.remove(ctx, entry.ID)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Schedules) remove(ctx context.Context, scheduleID string) error {
	ctx, stop := context.WithTimeout(ctx, scheduleTimeout)
	defer stop()
	err := s.temporal.ScheduleClient().GetHandle(ctx, scheduleID).Delete(ctx)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return nil
	}
	return err
}
