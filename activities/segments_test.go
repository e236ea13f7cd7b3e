package activities_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// pieces makes segments of 3 MiB of a source's bytes. It looks at the base to see which are the same.
type pieces struct {
	next  []engine.Segment
	read  int         // segments whose data the last dump handed over
	lost  int         // segments that it would have reused
	first engine.Base // of the last dump
}

const pieceSize = 3 * mib

func (*pieces) Read([]byte) (int, error) {
	return 0, errors.New("the segments are read, not the stream")
}

func (p *pieces) Next() (engine.Segment, error) {
	if len(p.next) == 0 {
		return engine.Segment{}, io.EOF
	}
	next := p.next[0]
	p.next = p.next[1:]
	return next, nil
}

func (p *pieces) stream(ctx context.Context, data []byte, base *engine.Base) (io.Reader, error) {
	*p = pieces{}
	old := []byte{}
	if base != nil {
		p.first = *base
		r, err := base.Open(ctx, "main", pieceSize) // an offset works too
		if err != nil {
			return nil, err
		}
		rest, err := io.ReadAll(r)
		if err != nil {
			p.lost++
			rest = nil
		}
		_ = r.Close()
		old = append(make([]byte, pieceSize), rest...)
	}
	for at := 0; at < len(data); at += pieceSize {
		end := min(at+pieceSize, len(data))
		same := at > 0 && len(old) >= end && bytes.Equal(old[at:end], data[at:end])
		if same {
			r := engine.Range{Stream: "main", Offset: int64(at), Bytes: int64(end - at)}
			for _, off := range []engine.Range{{Stream: "main", Offset: r.Offset + 1, Bytes: r.Bytes - 1}, {Stream: "else", Bytes: 1}} {
				if ok, err := base.Reusable(ctx, off); ok || err != nil {
					return nil, errors.New("what was no segment can not be reused")
				}
			}
			ok, err := base.Reusable(ctx, r)
			if err != nil {
				return nil, err
			}
			if ok {
				p.next = append(p.next, engine.Segment{Base: r})
				continue
			}
			p.lost++
		}
		p.read++
		p.next = append(p.next, engine.Segment{Data: bytes.NewReader(data[at:end])})
	}
	return p, nil
}

func TestAnIncrementOfSegmentsIsCompleteByItself(t *testing.T) {
	for _, died := range []string{"", "dump.batch_recorded", "dump.manifest_written", "dump.result_recorded"} {
		t.Run("worker died "+died, func(t *testing.T) {
			s := newSite(t)
			s.source.pieces = new(pieces)
			s.source.fill(1, 20*mib)
			full := s.good(domain.Full)
			require.Nil(t, s.source.pieces.first.Open, "a full builds on nothing")
			s.source.change("a row was changed")
			s.dies[died] = 1
			child := s.good(domain.Incremental)
			require.Equal(t, domain.Incremental, s.source.pieces.first.Type)
			require.Equal(t, "main", s.source.pieces.first.Streams[0].Name)
			require.Equal(t, 2, s.source.pieces.read, "the first, which is always read, and the changed one")
			require.Positive(t, child.CompressedSizeBytes)
			require.Less(t, child.CompressedSizeBytes, int64(4*mib))
			s.requireNothingElse(full, child)

			s.remove(full)
			s.requireGood(child)
		})
	}
}

func TestASegmentWhoseChunksAreLostIsReadAgain(t *testing.T) {
	s := newSite(t)
	s.source.pieces = new(pieces)
	s.source.fill(1, 20*mib)
	m := s.requireGood(s.good(domain.Full))
	require.NoError(t, s.store.Delete(t.Context(), m.ObjectKey(len(m.Objects)-1)))
	s.good(domain.Incremental)
	require.Positive(t, s.source.pieces.lost)
}
