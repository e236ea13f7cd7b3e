package archive

import (
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// crew is what the streams of one Writer share while any of them is written: the goroutines that
// hash, compress and encrypt, the memory for objects, and the uploads. So the number of streams
// changes neither the load on the processor and the store nor the memory, but for the ring of each.
type crew struct {
	jobs    chan *job
	members sync.WaitGroup
	arena   *arena
	memory  *semaphore.Weighted // segments of the arena
	uploads *uploads
	streams int // guarded by Writer.crewing
}

// inFlight is the memory for objects: one of the longest, and 16 MiB that let several of average
// size overlap.
//
// With the largest Params (32 MiB at most) that is 48 MiB, and 72 MiB for a stream's ring, all of
// it outside the Go heap. On the heap, zstd's encoders take about 9 MiB a member of the crew (50 above
// level 10); manifest entries take 150 bytes a chunk. With 1 MiB chunks a ring is 12 MiB, and a
// backup of one stream stays near 80 MiB resident.
func inFlight(p Params) int { return maxStored(p.Max) + 16*mib }

// joinCrew starts the crew for the first stream.
func (w *Writer) joinCrew() (*crew, error) {
	w.crewing.Lock()
	defer w.crewing.Unlock()
	if w.crew == nil {
		c, err := w.newCrew()
		if err != nil {
			return nil, err
		}
		w.crew = c
	}
	w.crew.streams++
	return w.crew, nil
}

// leaveCrew ends the crew with the last stream and waits for its members.
func (w *Writer) leaveCrew() {
	w.crewing.Lock()
	defer w.crewing.Unlock()
	c := w.crew
	if c.streams--; c.streams > 0 {
		return
	}
	w.crew = nil
	close(c.jobs)
	c.members.Wait()
	c.arena.close()
}

func (w *Writer) newCrew() (*crew, error) {
	sealers := make([]*sealer, w.opts.Workers)
	for i := range sealers {
		var err error
		if sealers[i], err = w.takeSealer(); err != nil {
			return nil, err
		}
	}
	memory, err := newArena(inFlight(w.opts.Params))
	if err != nil {
		return nil, err
	}
	c := &crew{
		jobs: make(chan *job), arena: memory, memory: semaphore.NewWeighted(int64(len(memory.free))),
		uploads: newUploads(w.opts.Uploads, time.Now),
	}
	for _, s := range sealers {
		c.members.Go(func() {
			for j := range c.jobs {
				j.p.seal(s, j)
			}
			w.sealers.Put(s)
		})
	}
	return c, nil
}

// takeSealer returns an encoder; those of an earlier crew are used again.
func (w *Writer) takeSealer() (*sealer, error) {
	if s, ok := w.sealers.Get().(*sealer); ok {
		return s, nil
	}
	s, err := newSealer(w.opts, w.keys.id)
	if err != nil {
		return nil, failure.Wrap(failure.ConfigInvalid, "seal chunk", err, "")
	}
	return s, nil
}
