package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

const (
	// heartbeatEvery keeps proxies from closing a silent stream. With each heartbeat the execution
	// is read again, should a notification have been lost, and the session is checked again.
	heartbeatEvery = 10 * time.Second
	writeTimeout   = 10 * time.Second
)

// The names of the events of an execution's stream; the data of each is the execution.
const (
	eventSnapshot = "snapshot" // first: as it is now
	eventUpdate   = "update"   // it changed
	eventEnd      = "end"      // it has ended; nothing follows
)

// followInput names what is followed, and how far a client that comes back has seen it.
type followInput struct {
	ByID
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"Id of the last event that was seen. That of an end event is answered 204: there is nothing more to come"`
}

// resumable tells of it, in the description of a stream of one thing.
const resumable = "A client that comes back is first told the state as it is then, so that it misses nothing; one that comes back with the `Last-Event-ID` of the `end` " +
	"gets a 204, which keeps browsers from asking again. "

// seenToTheEnd reports whether the client has the end of what has ended; nothing is streamed then.
func (in *followInput) seenToTheEnd(ended bool) bool { return ended && in.LastEventID == eventEnd }

// nothingMore is the answer to whom has seen the end.
func nothingMore() *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(out huma.Context) { out.SetStatus(http.StatusNoContent) }}
}

func (s *server) registerExecutionEvents() {
	operation := huma.Operation{
		OperationID: "follow-execution", Method: http.MethodGet, Path: "/api/executions/{id}/events", Tags: []string{"Executions"},
		Summary: "Follow an execution (server-sent events)",
		Description: "Events `snapshot`, then `update` with every change, then `end` after the final state; " +
			"the data of each is the execution without its log. " + resumable + "A comment every 10 seconds keeps the connection open.",
		Errors: []int{http.StatusNotFound},
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Execution](), true, "Execution")
	stream := &huma.Response{
		Description: "A stream of events; data is an Execution",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}
	all := operation
	operation.Responses = map[string]*huma.Response{"200": stream, "204": {Description: "The client has seen the end"}}
	register(s, requires(auth.ExecutionsRead), operation, s.followExecution)
	all.Responses = map[string]*huma.Response{"200": stream}
	all.OperationID, all.Path, all.Summary = "follow-executions", "/api/executions/events", "Follow all executions (server-sent events)"
	all.Description = "First every execution that is queued or running as `snapshot`, then an `update` with every change of any; " +
		"the data of each is the execution without its log. Executions that the caller may not see are left out. " +
		"A client that comes back with `Last-Event-ID` also gets those that ended meanwhile, the newest 500. A comment every 10 seconds keeps the connection open."
	all.Errors = nil
	register(s, requires(auth.ExecutionsRead), all, s.followExecutions)
}

func (s *server) followExecution(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
	row, err := s.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.seenToTheEnd(row.Status.Finished()) {
		return nothingMore(), nil
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		stream := newEventStream(out)
		read := func(ctx context.Context) (any, bool, error) {
			row, err := s.db.GetExecution(ctx, row.ID)
			return brief(row), row.Status.Finished(), err
		}
		if err := s.follow(out.Context(), row.ID, auth.ExecutionsRead, stream, read); err != nil && out.Context().Err() == nil {
			s.log.WarnContext(out.Context(), "event stream ended early", "execution", row.ID, "error", err)
		}
	}}, nil
}

// follow sends what read gives now, and again with every change of the row of that id until it has ended. The
// session must go on to hold the permission.
func (s *server) follow(ctx context.Context, id string, needed auth.Permission, stream *eventStream, read func(context.Context) (view any, ended bool, err error)) error {
	changes, release, err := s.events.watch(id) // before the first read, so that no change falls between
	if err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	defer release()
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	name := eventSnapshot
	base := ctx // each look adds to it anew: a stream may be open for days
	for {
		view, ended, err := read(ctx)
		if err != nil {
			return err
		}
		if err := stream.send(name, view); err != nil {
			return err
		}
		if ended {
			return stream.send(eventEnd, view)
		}
		name = eventUpdate
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
		case <-heartbeat.C:
			if err := stream.comment("heartbeat"); err != nil {
				return err
			}
		}
		if ctx, err = s.stillSignedIn(base, needed); err != nil { // nothing is sent by a right that has ended
			return err
		}
	}
}

// stillSignedIn ends streams of sessions that were signed out or lost their right meanwhile, and gives the
// context of what the caller is limited to now.
func (s *server) stillSignedIn(ctx context.Context, needed auth.Permission) (context.Context, error) {
	who, err := s.again(ctx)
	if err != nil {
		return ctx, err
	}
	if !who.Grants.Allows(needed) {
		return ctx, fmt.Errorf("the right to read this has ended")
	}
	return s.narrowedTo(withPrincipal(db.Unscoped(ctx), who), needed)
}

// eventStream writes server-sent events. Events that say the same as the one before are left out.
type eventStream struct {
	out     io.Writer
	control *http.ResponseController
	last    string
	id      int
	moment  bool // the id is the time of the event, in microseconds since 1970
}

func newEventStream(out huma.Context) *eventStream {
	out.SetHeader("Content-Type", "text/event-stream")
	out.SetHeader("X-Accel-Buffering", "no") // nginx would hold events back
	out.SetStatus(http.StatusOK)
	stream := &eventStream{out: out.BodyWriter()}
	if w, ok := stream.out.(http.ResponseWriter); ok {
		stream.control = http.NewResponseController(w)
	}
	return stream
}

func (e *eventStream) send(name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if name == eventUpdate && string(text) == e.last {
		return nil
	}
	e.last = string(text)
	return e.event(name, text)
}

// sendAny sends an event whatever the one before said.
func (e *eventStream) sendAny(name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return e.event(name, text)
}

func (e *eventStream) event(name string, text []byte) error {
	e.id++
	id := strconv.Itoa(e.id)
	if name == eventEnd {
		id = eventEnd
	} else if e.moment {
		id = strconv.FormatInt(time.Now().UnixMicro(), 10)
	}
	return e.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", id, name, text))
}

func (e *eventStream) comment(text string) error { return e.write(": " + text + "\n\n") }

func (e *eventStream) write(text string) error {
	if e.control == nil {
		return fmt.Errorf("the response can not be streamed: %w", http.ErrNotSupported)
	}
	// A writer that knows no deadlines (tests) still streams.
	_ = e.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := io.WriteString(e.out, text); err != nil {
		return err
	}
	return e.control.Flush()
}
