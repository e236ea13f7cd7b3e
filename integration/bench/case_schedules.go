package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/platform"
	"github.com/dataguardian/dataguardian/integration/bench/report"
)

// schedulesCase has no rivals to be built.
const schedulesCase = "schedules"

// schedulesWait is how long an engine waits for its server, in the runs in which it does: one worker has slots for four of them, two
// a second.
const schedulesWait = 2 * time.Second

// schedulesPatience is how long the jobs of one minute may take.
const schedulesPatience = 20 * time.Minute

// measureSchedules lets many jobs be due at the same minute, with one worker process and with four.
func measureSchedules(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "schedules: many jobs at one minute"
	section.About = fmt.Sprintf("%d jobs with schedules, of which %d are due at one minute, without jitter. Each backs up a folder with one file, so what is "+
		"measured is what starting, running and recording a backup costs. Everything (Temporal on SQLite, Postgres, workers) is on this machine. "+
		"In the runs that wait each backup first holds its slot for %s and does nothing, as one does whose server takes its time.", s.scheduledJobs, s.scheduledDue, schedulesWait)
	scheduled, err := s.platform.Schedule(ctx, s.scheduledJobs)
	if err != nil {
		return err
	}
	defer scheduled.Stop()
	section.Notes = append(section.Notes, fmt.Sprintf("Jobs were made over the API, schedule included, at %.0f a second.", scheduled.Made()))
	table := "| workers | waits | completed | queued a second | ended a second | queued late p50 / p99 | finished after p50 / p99 | CPU of the workers, a backup | CPU of Temporal and API, a backup | CPU of Postgres, a backup | peak RSS of a worker |\n" +
		"|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
	defer func() { section.Notes = append(section.Notes, table) }() // also what was measured before one failed
	for _, r := range []struct {
		workers int
		wait    time.Duration
	}{{1, schedulesWait}, {1, 0}, {4, schedulesWait}, {4, 0}} {
		if err := scheduled.Workers(r.workers); err != nil {
			return err
		}
		due, err := scheduled.Run(ctx, s.scheduledDue, r.wait, schedulesPatience)
		if err != nil {
			return err
		}
		row := dueRow(r.workers, r.wait, due)
		say("%s", row)
		table += row
		if due.Completed != due.Jobs {
			return fmt.Errorf("%d of %d backups did not complete", due.Jobs-due.Completed, due.Jobs)
		}
	}
	return nil
}

func dueRow(workers int, wait time.Duration, due platform.Due) string {
	each := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000/float64(due.Jobs)) }
	return fmt.Sprintf("| %d | %s | %d of %d | %.1f | %.1f | %.1f s / %.1f s | %.1f s / %.1f s | %s | %s | %s | %d MiB |\n", workers, wait, due.Completed, due.Jobs,
		due.Starts, due.Ends, due.Queued[0].Seconds(), due.Queued[1].Seconds(), due.Finished[0].Seconds(), due.Finished[1].Seconds(),
		each(due.Worker), each(due.Up), each(due.Postgres), due.PeakRSS>>20)
}
