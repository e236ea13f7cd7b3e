package reconcile

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/schedule"
)

// writes bounds how often a schedule is written whose job is changed again and again meanwhile. The next upkeep looks again.
const writes = 4

// comparison is one look at the schedules of all jobs.
type comparison struct {
	db       *db.DB
	temporal client.Client
	settings domain.ScheduleSettings
	compared map[string]db.ComparedSchedule // by anybody, before
	listed   map[string]schedule.Listed     // as Temporal had them at the beginning
	report   contract.SchedulesReport
}

func (c *comparison) ensureOne(ctx context.Context, kind scheduledKind, job scheduledJob) error {
	entry, there := c.listed[job.spec.ID]
	if job.spec.Cron == "" {
		return nil // removeForgotten takes what is left of an earlier cron
	}
	if !there || !c.isCompared(job.spec) || !entry.Fits(job.spec) {
		now, isThere, err := c.settle(ctx, kind, job.spec.ID)
		if err != nil || !isThere {
			return err
		}
		switch {
		case !there:
			c.report.Made++
		case c.compared[job.spec.ID].Trusted || !entry.Fits(job.spec):
			c.report.Corrected++
		}
		job = now
	}
	pause := ""
	if job.spec.Enabled {
		if pause = entry.Pause; pause != job.paused {
			// The list was read before the job and may be seconds old: of who has just ended a pause at the job, it would put the note back.
			var err error
			if pause, err = schedule.PauseOf(ctx, c.temporal, job.spec.ID); err != nil {
				return err
			}
		}
	}
	if pause != "" {
		c.report.Paused++
	}
	if job.note == nil {
		return nil
	}
	return job.note(ctx, c.db, pause)
}

// isCompared reports whether the schedule was compared as it is to be, not long ago.
func (c *comparison) isCompared(spec schedule.Spec) bool {
	before := c.compared[spec.ID]
	fingerprint, err := spec.Fingerprint()
	return err == nil && before.Trusted && before.Fingerprint == fingerprint // who writes it says what is wrong with it
}

// settle makes a schedule what its job says now, and not when all jobs were listed, or removes it: isThere says which. Who changes
// a job writes its schedule before that is committed, so the job is read once more after the schedule was written, when
// nobody is changing it any more: what they wrote was perhaps undone.
func (c *comparison) settle(ctx context.Context, kind scheduledKind, scheduleID string) (job scheduledJob, isThere bool, err error) {
	var wrote *schedule.Spec
	id := strings.TrimPrefix(scheduleID, kind.prefix)
	for range writes {
		if wrote != nil {
			if err := kind.await(ctx, c.db, id); err != nil {
				return job, false, err
			}
		}
		job, err = kind.read(ctx, c.db, c.settings, id)
		if errors.Is(err, db.ErrNotFound) {
			job, err = scheduledJob{}, nil // as one without a cron
		}
		if err != nil {
			return job, false, err
		}
		isThere = job.spec.Cron != ""
		if wrote != nil && reflect.DeepEqual(*wrote, job.spec) {
			break
		}
		spec := job.spec
		if wrote = &spec; isThere {
			err = schedule.Put(ctx, c.temporal, spec)
		} else {
			err = schedule.Remove(ctx, c.temporal, scheduleID)
		}
		if err != nil {
			return job, false, err
		}
	}
	return job, isThere, c.noteCompared(ctx, job.spec, scheduleID, isThere)
}

func (c *comparison) noteCompared(ctx context.Context, spec schedule.Spec, scheduleID string, isThere bool) error {
	if !isThere {
		return c.db.ForgetComparedSchedule(ctx, scheduleID)
	}
	fingerprint, err := spec.Fingerprint()
	if err != nil {
		return err
	}
	return c.db.SetComparedSchedule(ctx, scheduleID, fingerprint)
}

// removeForgotten deletes the schedules of jobs that are gone or have no cron any more.
func (c *comparison) removeForgotten(ctx context.Context, kind scheduledKind, jobs []scheduledJob) error {
	crons := map[string]string{}
	for _, job := range jobs {
		crons[job.spec.ID] = job.spec.Cron
	}
	for id := range c.listed {
		if !strings.HasPrefix(id, kind.prefix) || crons[id] != "" {
			continue
		}
		_, isThere, err := c.settle(ctx, kind, id) // one that was made since the jobs were read stays
		if err != nil {
			return err
		}
		if !isThere {
			c.report.Removed++
		}
	}
	for id := range c.compared { // the API has removed their schedules
		if _, isListed := c.listed[id]; isListed || !strings.HasPrefix(id, kind.prefix) || crons[id] != "" {
			continue
		}
		if err := c.db.ForgetComparedSchedule(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
