package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// manyTimeouts are so many in a row that the server, and not a recipient, is the trouble.
const manyTimeouts = 2

// sendToAll sends to each recipient that is not in reached. A failure does not keep the message from the others, unless
// it would be theirs too: refused credentials, or a server that is silent. The answer tells what the server said to
// each. The error is the first passing one, so that it is tried again, else what is permanent. mark is called for each
// that has it.
func sendToAll(ctx context.Context, channel notify.Channel, message notify.Message, reached []string, mark func(to string) error) (answer string, err error) {
	var passing error
	var permanent []error
	var answers []string
	recipients := channel.Recipients()
	timeouts := 0
	for _, to := range recipients {
		if slices.Contains(reached, to) {
			continue
		}
		said, err := channel.Send(ctx, message, to)
		class := failure.ClassOf(err)
		timeouts++
		if class != failure.Timeout {
			timeouts = 0
		}
		switch {
		case err == nil:
			answers = append(answers, answerFor(len(recipients), to, said))
			if err := mark(to); err != nil {
				return strings.Join(answers, "; "), err
			}
		case failure.IsPermanent(class):
			permanent = append(permanent, failure.WithSubject(err, recipientName(to)))
		case passing == nil:
			passing = failure.WithSubject(err, recipientName(to))
			passing = notify.WithRetryAfter(passing, notify.RetryAfter(err))
		}
		if ctx.Err() != nil {
			return strings.Join(answers, "; "), ctx.Err()
		}
		if class == failure.AuthFailed || timeouts == manyTimeouts {
			break
		}
	}
	return strings.Join(answers, "; "), firstError(passing, together(permanent))
}

// answerFor is what the server said about one of n recipients.
func answerFor(n int, to, said string) string {
	if n < 2 {
		return said
	}
	return recipientName(to) + ": " + said
}

// together is one error of the class of the first, which names each of the recipients that it is about.
func together(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	texts := make([]string, 0, len(errs))
	for _, err := range errs[:min(len(errs), mostNamed)] {
		texts = append(texts, err.Error())
	}
	if more := len(errs) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return failure.New(failure.ClassOf(errs[0]), "", strings.Join(texts, "; "), failure.HintOf(errs[0]))
}

// recipientName names who a message is for; of a telephone number the end: it is somebody's.
func recipientName(to string) string {
	switch {
	case strings.Contains(to, "@"):
		return "recipient " + to
	case len(to) <= 4:
		return ""
	}
	return "number ending in " + to[len(to)-4:]
}

func firstError(err, next error) error {
	if err != nil {
		return err
	}
	return next
}
