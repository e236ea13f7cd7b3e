// Package measure runs programs as whole processes and says what they took: wall time, processor
// time, peak memory and bytes on the disk.
package measure

import (
	"cmp"
	"slices"
	"time"
)

// Run is one run of one contestant.
type Run struct {
	Wall    time.Duration // as whoever asked for the work sees it
	Running time.Duration // DataGuardian only: from started_at to finished_at of the execution
	CPU     time.Duration // user and system time of the client side; the database server's is not in it
	Support time.Duration // DataGuardian only: processor time of API, Temporal and catalogue meanwhile
	PeakRSS int64         // bytes
	Stored  int64         // bytes that were added on the disk
	Added   int64         // of a backup: bytes before compression that were not stored before
}

// Series is one contestant with all its measured runs. Missing says why it has none.
type Series struct {
	Name    string
	Missing string
	Runs    []Run
}

// Measured reports whether there is anything to compare. A nil Series has not been measured.
func (s *Series) Measured() bool { return s != nil && len(s.Runs) > 0 }

// Median gives each figure's own median; the peak is the highest, because a limit is a limit.
// The zero Run when nothing was measured.
func (s *Series) Median() Run {
	if !s.Measured() {
		return Run{}
	}
	return Run{
		Wall:    middle(s.Runs, func(r Run) time.Duration { return r.Wall }),
		Running: middle(s.Runs, func(r Run) time.Duration { return r.Running }),
		CPU:     middle(s.Runs, func(r Run) time.Duration { return r.CPU }),
		Support: middle(s.Runs, func(r Run) time.Duration { return r.Support }),
		Stored:  middle(s.Runs, func(r Run) int64 { return r.Stored }),
		Added:   middle(s.Runs, func(r Run) int64 { return r.Added }),
		PeakRSS: slices.MaxFunc(s.Runs, func(a, b Run) int { return cmp.Compare(a.PeakRSS, b.PeakRSS) }).PeakRSS,
	}
}

func middle[T cmp.Ordered](runs []Run, figure func(Run) T) T {
	values := make([]T, len(runs))
	for i, run := range runs {
		values[i] = figure(run)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
