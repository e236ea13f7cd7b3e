package postgres

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// runAll runs a schedule by so many jobs.
func runAll(ctx context.Context, s *schedule, jobs int) error {
	group, ctx := errgroup.WithContext(ctx)
	for range jobs {
		group.Go(func() error { return s.run(ctx, &job{tasks: s}) })
	}
	return group.Wait()
}

func TestTheLargestTaskComesFirstAndWhatFollowsItBeforeSmallerOnes(t *testing.T) {
	var order []string
	named := func(name string, size int64, then ...*task) *task {
		return &task{size: size, do: func(_ context.Context, j *job) error {
			order = append(order, name)
			for _, next := range then {
				j.tasks.add(next)
			}
			return nil
		}}
	}
	s := newSchedule()
	s.add(named("small", 1))
	s.add(named("large", 9, named("key of large", 9), named("index of large", 9)))
	s.add(named("middle", 5))
	s.add(named("another middle", 5))
	require.NoError(t, runAll(t.Context(), s, 1))
	require.Equal(t, []string{"large", "key of large", "index of large", "middle", "another middle", "small"}, order)
}

func TestAJobWithoutATaskWaitsForWhatAnotherOneAdds(t *testing.T) {
	const followers = 3
	var together sync.WaitGroup
	together.Add(followers)
	s := newSchedule()
	s.add(&task{do: func(_ context.Context, j *job) error {
		for range followers {
			j.tasks.add(&task{table: 7, do: func(context.Context, *job) error {
				together.Done()
				together.Wait() // ends only when every job has one
				return nil
			}})
		}
		return nil
	}})
	require.NoError(t, runAll(t.Context(), s, followers))
}

func TestATaskThatWantsItsTableAloneHasIt(t *testing.T) {
	var mu sync.Mutex
	running, most := map[string]int{}, map[string]int{}
	count := func(name string, by int) {
		mu.Lock()
		defer mu.Unlock()
		running[name] += by
		most[name] = max(most[name], running[name])
		if running["alone"] > 0 && running["beside"] > 0 || running["alone"] > 1 {
			most["violation"]++
		}
	}
	s := newSchedule()
	for i := range 300 {
		name, alone := "beside", i%3 == 0
		if alone {
			name = "alone"
		}
		s.add(&task{table: 7, alone: alone, do: func(context.Context, *job) error {
			count(name, 1)
			count(name, -1)
			return nil
		}})
	}
	require.NoError(t, runAll(t.Context(), s, 8))
	require.Zero(t, most["violation"])
	require.Equal(t, 1, most["alone"])
	require.False(t, (&task{table: 7, alone: true}).conflicts(&task{table: 8, alone: true}))
	require.False(t, (&task{alone: true}).conflicts(&task{alone: true}), "what locks no table is in nobody's way")
}

func TestATaskThatFailsEndsTheSchedule(t *testing.T) {
	failed := errors.New("failed")
	s, later := newSchedule(), 0
	s.add(&task{size: 2, do: func(context.Context, *job) error { return failed }})
	s.add(&task{size: 1, do: func(context.Context, *job) error { later++; return nil }})
	require.ErrorIs(t, runAll(t.Context(), s, 1), failed)
	require.Zero(t, later)
}

func TestACancelledScheduleDoesNotWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSchedule()
	s.add(&task{do: func(ctx context.Context, _ *job) error {
		cancel()
		<-ctx.Done()
		return nil
	}})
	require.ErrorIs(t, runAll(ctx, s, 2), context.Canceled)
}

func TestAnIndexLeavesTheProcessorsToOtherWork(t *testing.T) {
	index, other, load := &task{size: 1}, &task{size: 2}, &task{size: 3, loads: true}
	for name, c := range map[string]struct {
		running, waiting []*task
		jobs, cores      int
		crowded          bool
	}{
		"a load runs on a server of any size":             {[]*task{index, load}, nil, 2, 0, true},
		"another job works, and the jobs fill the server": {[]*task{index, other}, nil, 2, 2, true},
		"work waits, and the jobs fill the server":        {[]*task{index}, []*task{other}, 2, 2, true},
		"it is the last work":                             {[]*task{index}, nil, 2, 2, false},
		"one job fills no server":                         {[]*task{index}, []*task{other}, 1, 1, false},
		"the server has more processors":                  {[]*task{index, other}, nil, 2, 4, false},
		"the server is somewhere else":                    {[]*task{index, other}, nil, 2, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSchedule()
			s.running, s.waiting = c.running, c.waiting
			require.Equal(t, c.crowded, s.crowded(c.jobs, c.cores))
		})
	}
}

func TestProcessorsAreKnownOfAServerOnThisMachine(t *testing.T) {
	require.Equal(t, runtime.NumCPU(), serverCores(&net.UnixAddr{Name: "/run/postgresql/.s.PGSQL.5432"}))
	require.Equal(t, runtime.NumCPU(), serverCores(&net.TCPAddr{IP: net.IPv6loopback}))
	require.Zero(t, serverCores(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}))
}
