package reconcile

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
)

const (
	// Every schedule of a storage location runs once a day, each at a time of its own.
	storageEvery  = 24 * time.Hour
	storageJitter = 15 * time.Minute
	// recheckAfter is how long a schedule that was found right is believed to be.
	recheckAfter = time.Hour
)

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
// have changed, and deletes those of locations that are gone. It looks at all of them the first time
// and once an hour, else only at what has changed in the catalogue.
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

// put makes the schedule, or gives the one that is there the right content.
func (s *Schedules) put(ctx context.Context, kind storageSchedule, location db.StorageLocation) error {
	ctx, stop := context.WithTimeout(ctx, scheduleTimeout)
	defer stop()
	id := kind.id(location.ID)
	spec, action := storageSpec(id, location.CreatedAt), kind.action(location)
	schedules := s.temporal.ScheduleClient()
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	return schedules.GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			schedule.Spec, schedule.Action = &spec, action // somebody's pause stays
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
}

// storageSpec spreads the schedules over the day. A location that was just made holds nothing to look at.
func storageSpec(id string, created time.Time) client.ScheduleSpec {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // a hash takes everything
	offset := time.Duration(hash.Sum32()%uint32(storageEvery/time.Second)) * time.Second
	return client.ScheduleSpec{
		Intervals: []client.ScheduleIntervalSpec{{Every: storageEvery, Offset: offset}}, Jitter: storageJitter, StartAt: created.Add(time.Hour),
	}
}

// removeForgotten deletes schedules of locations that went while nobody looked.
func (s *Schedules) removeForgotten(ctx context.Context, there map[string]db.StorageLocation) error {
	listed, err := s.temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
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
