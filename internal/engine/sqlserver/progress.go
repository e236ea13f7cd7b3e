package sqlserver

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// slowestLook and fastestLook bound how often the server is asked how far it is.
const (
	slowestLook = 5 * time.Second
	fastestLook = 20 * time.Millisecond
)

// watched runs a statement that may take hours, and ends it with failure.Timeout when it makes no progress
// for idle; 0 is never. Progress is what the server tells a second connection (which needs VIEW SERVER
// STATE), or a change of sign.
func (s *session) watched(ctx context.Context, op, statement string, idle time.Duration, sign func() string) error {
	if idle <= 0 {
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
		if s.stalls(ctx, id, idle, sign) {
			cancel(failure.New(failure.Timeout, op, fmt.Sprintf("the server made no progress for %s", idle),
				"Look at what the server waits for (sys.dm_exec_requests), or raise idle_timeout_minutes."))
		}
	}()
	err := s.execute(ctx, op, statement)
	if cause := context.Cause(ctx); cause != nil && err != nil && failure.ClassOf(cause) == failure.Timeout {
		err = cause
	}
	cancel(nil)
	<-ended
	return err
}

// stalls returns true when nothing moved for idle, and false when ctx ends before.
func (s *session) stalls(ctx context.Context, id int, idle time.Duration, sign func() string) bool {
	observer, err := connect(ctx, s.src, "")
	if err == nil {
		defer observer.close()
	}
	last, since := "", time.Now()
	for pause(ctx, min(max(idle/8, fastestLook), slowestLook)) == nil {
		now := sign()
		if observer != nil {
			now += observer.progress(ctx, id)
		}
		if now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > idle {
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
