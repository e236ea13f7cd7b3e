package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// pollInterval is how long to wait before an execution is read again when its stream broke.
const pollInterval = time.Second

// maxEvent bounds one line of an event stream.
const maxEvent = 4 << 20

// ExecutionFilter narrows a list of executions; an empty field does not.
type ExecutionFilter struct {
	Job, Datasource, Storage string
	Status                   domain.ExecutionStatus
	Operation                domain.Operation
	From, To                 time.Time
}

func (f ExecutionFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"job": f.Job, "datasource": f.Datasource, "storage": f.Storage, "status": string(f.Status), "operation": string(f.Operation),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return query
}

// ListExecutions reads all executions that the filter lets through, newest first, without logs.
func (c *Client) ListExecutions(ctx context.Context, filter ExecutionFilter) ([]Execution, error) {
	return collect[Execution](ctx, c, "/api/executions", filter.query())
}

// GetExecution reads an execution with its log.
func (c *Client) GetExecution(ctx context.Context, id string) (Execution, error) {
	var out Execution
	err := c.call(ctx, http.MethodGet, executionPath(id), nil, nil, &out)
	return out, err
}

// Logs reads the log of an execution, oldest line first.
func (c *Client) Logs(ctx context.Context, id string) ([]domain.LogLine, error) {
	var out struct {
		Items []domain.LogLine `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, executionPath(id)+"/logs", nil, nil, &out)
	return out.Items, err
}

// Chunks reads every stored object that an execution refers to.
func (c *Client) Chunks(ctx context.Context, id string) ([]Chunk, error) {
	return collect[Chunk](ctx, c, executionPath(id)+"/chunks", nil)
}

// Cancel asks an execution to stop; WaitExecution tells when it has.
func (c *Client) Cancel(ctx context.Context, id string) (Execution, error) {
	var out Execution
	err := c.call(ctx, http.MethodPost, executionPath(id)+"/cancel", nil, nil, &out)
	return out, err
}

// WaitExecution waits until an execution has ended, however it ended, and returns it with its log.
// onChange, unless nil, sees every state on the way. It follows the event stream; when that
// breaks, it reads the execution again and goes on. It fails when ctx ends, or when the execution
// can not be read.
func (c *Client) WaitExecution(ctx context.Context, id string, onChange func(Execution)) (Execution, error) {
	if onChange == nil {
		onChange = func(Execution) {}
	}
	for {
		// How the stream ended does not matter: the execution itself says whether to go on.
		_ = c.follow(ctx, id, onChange)
		execution, err := c.GetExecution(ctx, id)
		if err != nil {
			return execution, err
		}
		if execution.Status.Finished() {
			return execution, nil
		}
		onChange(execution)
		select {
		case <-ctx.Done():
			return execution, fmt.Errorf("wait for execution %s: %w", id, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// follow reads the event stream of an execution until its end event, or until it breaks.
func (c *Client) follow(ctx context.Context, id string, onChange func(Execution)) error {
	answer, err := c.send(ctx, http.MethodGet, executionPath(id)+"/events", nil, nil, http.Header{"Accept": {"text/event-stream"}})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	return readEvents(answer.Body, func(name string, data []byte) (more bool, err error) {
		var execution Execution
		if err := json.Unmarshal(data, &execution); err != nil {
			return false, fmt.Errorf("read event %s: %w", name, err)
		}
		onChange(execution)
		return name != "end", nil
	})
}

// readEvents parses server-sent events (the fields event and data) until handle wants no more.
func readEvents(stream io.Reader, handle func(name string, data []byte) (more bool, err error)) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var name string
	var data []byte
	for lines.Scan() {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(lines.Bytes()) == 0 && data != nil:
			more, err := handle(name, data)
			if err != nil || !more {
				return err
			}
			name, data = "", nil
		case string(field) == "event":
			name = string(value)
		case string(field) == "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

func executionPath(id string) string { return "/api/executions/" + url.PathEscape(id) }
