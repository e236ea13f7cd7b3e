package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	// resumeSlack is by how much the clocks of the API's processes and the database may differ.
	resumeSlack = 5 * time.Second
	maxResumed  = 500 // executions that ended while a client was away
)

type followAllInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"Id of the last event that was seen"`
}

// followExecutions streams all executions. The id of an event is its time: whoever comes back is told
// what is active, and what ended since. A state may be told twice, and none is missed, whichever
// process answers.
func (s *server) followExecutions(_ context.Context, in *followAllInput) (*huma.StreamResponse, error) {
	since, err := resumeFrom(in.LastEventID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		stream := newEventStream(out)
		stream.moment = true
		if err := s.followAll(out.Context(), since, in.LastEventID != "", stream); err != nil && out.Context().Err() == nil {
			s.log.WarnContext(out.Context(), "event stream of all executions ended early", "error", err)
		}
	}}, nil
}

// resumeFrom is the time that the id of an event is; now where there is none. What is later than now was made up.
func resumeFrom(lastEventID string) (time.Time, error) {
	now := time.Now()
	if lastEventID == "" {
		return now, nil
	}
	micros, err := strconv.ParseInt(lastEventID, 10, 64)
	if err != nil || micros < 0 || micros > now.Add(time.Hour).UnixMicro() {
		return now, invalidField("header.Last-Event-ID", "is no id of an event; leave it out")
	}
	return time.UnixMicro(micros), nil
}

func (s *server) followAll(ctx context.Context, since time.Time, resumed bool, stream *eventStream) error {
	changes, release, err := s.events.watchAll() // before the first read, so that no change falls between
	if err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	defer release()
	if err := stream.comment("following"); err != nil { // the headers go out although nothing runs
		return err
	}
	if err := s.catchUp(ctx, since, resumed, stream); err != nil {
		return err
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	last := time.Now() // until then nothing was missed
	base := ctx        // each look adds to it anew: a stream may be open for days
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes.signal:
			taken := time.Now()
			if ctx, err = s.stillSignedIn(base, auth.ExecutionsRead); err == nil { // nothing is sent by a right that has ended
				err = s.sendChanges(ctx, changes, last, stream)
			}
			last = taken
		case <-heartbeat.C:
			if ctx, err = s.stillSignedIn(base, auth.ExecutionsRead); err == nil {
				err = stream.comment("heartbeat")
			}
		}
		if err != nil {
			return err
		}
	}
}

// catchUp sends what is active, and of a client that was away since a time what ended meanwhile.
func (s *server) catchUp(ctx context.Context, since time.Time, resumed bool, stream *eventStream) error {
	if resumed { // should it break before what ended meanwhile was sent, the next stream begins there again
		stream.place = strconv.FormatInt(since.UnixMicro(), 10)
		defer func() { stream.place = "" }()
	}
	for _, status := range []domain.ExecutionStatus{domain.Running, domain.Queued} {
		for page := (db.Page{Limit: db.MaxPageSize}); ; {
			rows, next, err := s.db.ListExecutions(ctx, db.ExecutionFilter{Status: status}, page)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if err := stream.send(eventSnapshot, brief(row)); err != nil {
					return err
				}
			}
			if page.Cursor = next; next == "" {
				break
			}
		}
	}
	if !resumed {
		return nil
	}
	ids, err := s.db.EndedSince(ctx, since.Add(-resumeSlack), maxResumed+1)
	if err != nil {
		return err
	}
	if len(ids) > maxResumed {
		if err := stream.sendAny(eventGap, StreamGap{since}); err != nil {
			return err
		}
		ids = ids[len(ids)-maxResumed:]
	}
	return s.sendExecutions(ctx, ids, stream)
}

func (s *server) sendChanges(ctx context.Context, changes *wideWatch, last time.Time, stream *eventStream) error {
	ids, lost := changes.take()
	if err := s.sendExecutions(ctx, ids, stream); err != nil || !lost {
		return err
	}
	return s.catchUp(ctx, last, true, stream)
}

// sendExecutions sends what each of the executions is now; one that is gone, or not for the caller to
// see, is left out.
func (s *server) sendExecutions(ctx context.Context, ids []string, stream *eventStream) error {
	for _, id := range ids {
		row, err := s.db.GetExecution(ctx, id)
		if errors.Is(err, db.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := stream.send(eventUpdate, brief(row)); err != nil {
			return err
		}
	}
	return nil
}
