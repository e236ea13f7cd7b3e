package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/report"
)

// schedulesCase has no rivals to be built.
const schedulesCase = "schedules"

// schedulesPatience is how long the jobs of one minute may take.
const schedulesPatience = 20 * time.Minute

// measureSchedules lets many jobs be due at the same minute, with one worker process and with four.
func measureSchedules(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = "schedules: many jobs at one minute"
	section.About = fmt.Sprintf("%d jobs with schedules, of which %d are due at one minute, without jitter. Each backs up a folder with one file, so what is "+
		"measured is what starting, running and recording a backup costs. Everything (Temporal on SQLite, Postgres, workers) is on this machine.", s.scheduledJobs, s.scheduledDue)
	scheduled, made, err := s.platform.Schedule(ctx, s.scheduledJobs)
	if err != nil {
		return err
	}
	defer scheduled.Stop()
	section.Notes = append(section.Notes, fmt.Sprintf("Jobs were made over the API, schedule included, at %.0f a second.", made))
	table := "| workers | completed | queued a second | queued late p50 / p99 | finished after p50 / p99 | CPU of the workers, a backup | CPU of Temporal and API, a backup | CPU of Postgres, a backup | peak RSS of a worker |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
	for _, workers := range []int{1, 4} {
		if err := scheduled.Workers(workers); err != nil {
			return err
		}
		due, err := scheduled.Run(ctx, s.scheduledDue, schedulesPatience)
		if err != nil {
			return err
		}
		each := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000/float64(due.Jobs)) }
		table += fmt.Sprintf("| %d | %d of %d | %.1f | %.1f s / %.1f s | %.1f s / %.1f s | %s | %s | %s | %d MiB |\n", workers, due.Completed, due.Jobs, due.Starts,
			due.Queued[0].Seconds(), due.Queued[1].Seconds(), due.Finished[0].Seconds(), due.Finished[1].Seconds(),
			each(due.Worker), each(due.Up), each(due.Postgres), due.PeakRSS>>20)
		if due.Completed != due.Jobs {
			return fmt.Errorf("%d of %d backups did not complete", due.Jobs-due.Completed, due.Jobs)
		}
	}
	section.Notes = append(section.Notes, table)
	return nil
}
