package postgres

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// task is what a job does in one go.
type task struct {
	size  int64 // bytes of the data that it is about
	table int   // dump id of the table that it locks, 0 none
	alone bool  // no other task may lock that table at the same time
	loads bool  // it loads data
	do    func(ctx context.Context, j *job) error
}

// schedule gives the jobs their tasks, the largest first: what comes last is then short, and no job waits
// long for the others. A task may add others, so as long as one runs there may be more.
type schedule struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []*task // the next one last
	running []*task
	stopped bool
}

func newSchedule() *schedule {
	s := &schedule{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// add adds a task. Of equal ones the first that was added comes first.
func (s *schedule) add(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := slices.BinarySearchFunc(s.waiting, t, func(a, b *task) int { return cmp.Compare(a.size, b.size) })
	s.waiting = slices.Insert(s.waiting, at, t)
	s.changed.Broadcast()
}

// run does tasks until all are done, one fails or ctx ends.
func (s *schedule) run(ctx context.Context, j *job) error {
	defer context.AfterFunc(ctx, s.stop)()
	for t := s.take(); t != nil; t = s.take() {
		err := t.do(ctx, j)
		s.done(t)
		if err != nil {
			s.stop()
			return err
		}
	}
	return ctx.Err()
}

// take waits for a task that can be done now; nil when there is none any more.
func (s *schedule) take() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopped {
		for i, t := range slices.Backward(s.waiting) {
			if !slices.ContainsFunc(s.running, t.conflicts) {
				s.waiting = slices.Delete(s.waiting, i, i+1)
				s.running = append(s.running, t)
				return t
			}
		}
		if len(s.running) == 0 {
			return nil
		}
		s.changed.Wait()
	}
	return nil
}

func (t *task) conflicts(other *task) bool {
	return t.table != 0 && t.table == other.table && (t.alone || other.alone)
}

func (s *schedule) done(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = slices.DeleteFunc(s.running, func(other *task) bool { return other == t })
	s.changed.Broadcast()
}

// stop lets no further task begin.
func (s *schedule) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.changed.Broadcast()
}

// crowded reports whether an index should be made by the asking job alone, because parallel workers would take the
// processors of other work: of a load, because the largest tables are loaded first and the others will wait
// for it; or of whatever else there is, if so many jobs keep all of the server's processors at work
// anyway (cores; 0 is not known).
func (s *schedule) crowded(jobs, cores int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.running, func(t *task) bool { return t.loads }) {
		return true
	}
	others := len(s.running)-1+len(s.waiting) > 0
	return others && jobs > 1 && cores > 0 && jobs >= cores
}
