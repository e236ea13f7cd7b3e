package files

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/posixlock"
)

// tarSegments is the tar stream: what the base has; then what is read; then hard links, which follow what
// they link to; and last the directories, children first, so that what tar sets of them lasts.
type tarSegments struct {
	ctx      context.Context //nolint:containedctx // of one dump: engine.Segmented has none
	tree     *tree
	plan     *plan
	targets  map[*entry]*entry // of hard links
	warnings *warnings
	queue    chan *job
	arenas   *arenas

	kept    int // of plan.kept, how many are handed over
	current *job
	large   *largeFile
	tail    []*entry // nil before the queue is at its end
	packs   []pack
	end     int64 // of the packs
	closing bool  // the end of the archive is handed over
	ended   bool
}

// Read is never called.
func (*tarSegments) Read([]byte) (int, error) {
	return 0, errors.New("the stream is made of segments")
}

func (s *tarSegments) giveBack(j *job) {
	if j.arena != nil {
		s.arenas.give(j.arena)
		j.arena, j.buffer = nil, nil
	}
}

// Next returns the next segment.
func (s *tarSegments) Next() (engine.Segment, error) {
	if err := s.ctx.Err(); err != nil {
		return engine.Segment{}, err
	}
	s.finish()
	if s.kept < len(s.plan.kept) {
		return engine.Segment{Base: s.nextKept()}, nil
	}
	data, err := s.nextRead()
	if data == nil && err == nil {
		data, err = s.nextTail()
	}
	if data == nil && err == nil {
		if s.closing {
			s.ended = true
			return engine.Segment{}, io.EOF
		}
		s.closing = true
		data = bytes.NewReader(tarEnd[:])
	}
	return engine.Segment{Data: data}, err
}

// nextKept joins ranges that follow each other.
func (s *tarSegments) nextKept() engine.Range {
	r := s.plan.kept[s.kept]
	for s.kept++; s.kept < len(s.plan.kept) && s.plan.kept[s.kept].Offset == r.Offset+r.Bytes; s.kept++ {
		r.Bytes += s.plan.kept[s.kept].Bytes
	}
	return r
}

// nextRead is the next pack that was read, nil after the last one.
func (s *tarSegments) nextRead() (io.Reader, error) {
	for j := range s.queue {
		if j.large {
			large, err := openLarge(s.tree, j.entries[0], s.warnings)
			if err == nil {
				s.current, s.large = j, large
				return large, nil
			}
			if !passing(err) {
				return nil, classify("read "+s.tree.path+"/"+printable(j.entries[0].path()), err)
			}
			drop(j.entries[0], err, s.warnings)
			continue
		}
		select {
		case <-j.done:
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
		if j.err != nil {
			return nil, j.err
		}
		if len(j.buffer) > 0 {
			s.current = j
			return bytes.NewReader(j.buffer), nil
		}
		s.giveBack(j)
	}
	return nil, s.ctx.Err()
}

// finish gives the entries of the segment before their pack, now that it is stored.
func (s *tarSegments) finish() {
	j := s.current
	if j == nil {
		return
	}
	s.current = nil
	length := int64(len(j.buffer))
	if s.large != nil {
		s.large.finish()
		s.large = nil
		length = j.entries[0].place.length()
	} else {
		s.giveBack(j)
	}
	for _, e := range j.entries {
		if e.kind != 0 {
			e.place.pack = int32(len(s.packs)) //nolint:gosec // a pack has half a MiB at least, but for the last ones
		}
	}
	s.packs = append(s.packs, pack{offset: s.end, bytes: length})
	s.end += length
}

// close releases what is open when the stream is given up.
func (s *tarSegments) close() {
	if s.large != nil {
		_ = posixlock.CloseFile(s.large.file)
	}
}

// nextTail makes a pack of hard links and directories, nil after the last one.
func (s *tarSegments) nextTail() (io.Reader, error) {
	if s.tail == nil {
		s.tail = make([]*entry, 0, len(s.plan.links)+len(s.plan.dirs))
		s.tail = append(s.tail, s.plan.links...)
		for i := len(s.plan.dirs) - 1; i >= 0; i-- {
			s.tail = append(s.tail, s.plan.dirs[i])
		}
	}
	j := &job{}
	for len(s.tail) > 0 && len(j.buffer) < largeBytes {
		e := s.tail[0]
		s.tail = s.tail[1:]
		if err := j.appendTail(s, e); err != nil {
			return nil, err
		}
	}
	if len(j.entries) == 0 {
		return nil, nil
	}
	s.current = j
	return bytes.NewReader(j.buffer), nil
}

func (j *job) appendTail(s *tarSegments, e *entry) (err error) {
	var attributes map[string]string
	if e.kind == kindDir {
		if attributes, err = attributesOf(-1, s.tree.path+"/"+e.path()); err != nil {
			s.warnings.add(e.path(), "its extended attributes could not be read: %v", err)
		}
	} else if first := s.targets[e]; first.kind == 0 {
		s.warnings.add(e.path(), "its other name %s is not in the backup, so it is not either", printable(e.link))
		e.kind = 0
		return nil
	}
	before := len(j.buffer)
	if j.buffer, err = appendHeader(j.buffer, e, 0, attributes, nil); err != nil {
		return err
	}
	e.xattrs = attributesHash(attributes)
	e.place.offset, e.place.header, e.place.data = int64(before), int32(len(j.buffer)-before), 0 //nolint:gosec // some MiB
	e.stale = nil
	j.entries = append(j.entries, e)
	return nil
}
