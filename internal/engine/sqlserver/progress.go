package sqlserver

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// How often the server is asked how far it is: usualLook for the telling alone.
const (
	slowestLook = 5 * time.Second
	usualLook   = time.Second
	fastestLook = 20 * time.Millisecond
)

// watch is what is looked at while a statement runs that may take hours.
type watch struct {
	idle time.Duration // it ends with failure.Timeout when it makes no progress for so long; 0 is never
	sign func() string // changes with progress that the worker sees; nil is none
	tell engine.Teller // is told the server's percentage
}

// watched runs such a statement. Progress is what the server tells a second connection (which needs VIEW SERVER
// STATE), or a change of sign.
func (s *session) watched(ctx context.Context, op, statement string, w watch) error {
	if w.idle <= 0 && w.tell == nil {
		return s.execute(ctx, op, statement)
	}
	var id int
	if err := s.QueryRowContext(ctx, "SELECT CONVERT(int, @@SPID)").Scan(&id); err != nil {
		return classify(op, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if s.stalls(ctx, id, w) {
			cancel(failure.New(failure.Timeout, op, fmt.Sprintf("the server made no progress for %s", w.idle),
				"Look at what the server waits for (sys.dm_exec_requests), or raise idle_timeout_minutes."))
		}
	}()
	err := s.execute(ctx, op, statement)
	if cause := context.Cause(ctx); cause != nil && err != nil && failure.ClassOf(cause) == failure.Timeout {
		err = cause
	}
	cancel(nil)
	<-ended
	if err == nil && w.tell != nil {
		w.tell(100)
	}
	return err
}

// every is how often the server is asked: rarely for its own sake, often enough to see that nothing moves.
func (w watch) every() time.Duration {
	if w.idle <= 0 {
		return usualLook
	}
	return min(max(w.idle/8, fastestLook), slowestLook)
}

// stalls returns true when nothing moved for idle, and false when ctx ends before.
func (s *session) stalls(ctx context.Context, id int, w watch) bool {
	observer, err := connect(ctx, s.src, "")
	if err == nil {
		defer observer.close()
	}
	last, since := "", time.Now()
	for pause(ctx, w.every()) == nil {
		now := ""
		if observer != nil {
			now = observer.progress(ctx, id)
		}
		if percent, _, told := strings.Cut(now, " "); told && w.tell != nil {
			if share, err := strconv.ParseFloat(percent, 64); err == nil {
				w.tell(share)
			}
		}
		if w.sign != nil {
			now += w.sign()
		}
		if now != last {
			last, since = now, time.Now()
		}
		if w.idle > 0 && time.Since(since) > w.idle {
			return true
		}
	}
	return false
}

// progress is what the server tells of a session's statement; "" if it tells nothing.
func (s *session) progress(ctx context.Context, id int) (sign string) {
	ctx, cancel := context.WithTimeout(ctx, slowestLook)
	defer cancel()
	err := s.QueryRowContext(ctx, `SELECT CONCAT(percent_complete, N' ', reads, N' ', writes)
		FROM sys.dm_exec_requests WHERE session_id = @p1`, id).Scan(&sign)
	if err != nil {
		return ""
	}
	return sign
}
