package api

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"
)

const (
	// answerPatience is how long Temporal is given to say that it is there: a connection that was lost is made again within it.
	answerPatience = 2 * time.Second
	// answerPause is between two questions, when a connection is refused at once.
	answerPause = 100 * time.Millisecond
)

// temporalAnswers asks Temporal whether it is there, before something is written that needs it: what it could not take would be an
// execution that failed, of which people are told. It costs a fraction of a millisecond. Temporal may be gone a moment later, which whoever
// starts the workflow answers for.
func (s *server) temporalAnswers(ctx context.Context, doing string) error {
	asking, stop := context.WithTimeout(ctx, answerPatience)
	defer stop()
	for {
		_, err := s.temporal.CheckHealth(asking, &client.CheckHealthRequest{})
		if err == nil {
			return nil
		}
		select {
		case <-asking.Done():
			if ctx.Err() != nil {
				return ctx.Err() // the client has gone
			}
			return s.temporalDown(ctx, doing, err)
		case <-time.After(answerPause):
		}
	}
}
