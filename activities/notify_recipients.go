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

// sending is one attempt at a message for every recipient of a channel.
type sending struct {
	channel notify.Channel
	message notify.Message
	repeat  notify.Message // for who may have it already
	reached []string       // who has it
	begun   []string       // who may have it
	record  recipientRecord
}

// recipientRecord keeps what is known of each recipient, for the attempt after one that is lost.
type recipientRecord interface {
	// begins is called before the first byte is sent.
	begins(ctx context.Context, to string) error
	// arrived is called for each that has it; the only recipient of a channel is recorded with the delivery's end.
	arrived(ctx context.Context, to string, only bool) error
	// failed is called when it has not arrived.
	failed(ctx context.Context, to string) error
}

// toAll sends to each recipient that has not got it. A failure does not keep the message from the others, unless
// it would be theirs too: refused credentials, or a server that is silent. The answer tells what the server said to
// each. The error is the first passing one, so that it is tried again, else what is permanent.
func (s sending) toAll(ctx context.Context) (answer string, err error) {
	var passing error
	var permanent []error
	var answers []string
	recipients := s.channel.Recipients()
	timeouts := 0
	for _, to := range recipients {
		if slices.Contains(s.reached, to) {
			continue
		}
		said, sendErr, err := s.to(ctx, to, len(recipients) == 1)
		if err != nil {
			return strings.Join(answers, "; "), err
		}
		class := failure.ClassOf(sendErr)
		timeouts++
		if class != failure.Timeout {
			timeouts = 0
		}
		switch {
		case sendErr == nil:
			answers = append(answers, answerFor(len(recipients), to, said))
		case failure.IsPermanent(class):
			permanent = append(permanent, failure.WithSubject(sendErr, recipientName(to)))
		case passing == nil:
			passing = failure.WithSubject(sendErr, recipientName(to))
			passing = notify.WithRetryAfter(passing, notify.RetryAfter(sendErr))
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

// to sends to one recipient and records what came of it. err is that of the record.
func (s sending) to(ctx context.Context, to string, only bool) (said string, sendErr, err error) {
	message, watched := s.message, s.record != nil && !s.channel.CarriesID()
	if slices.Contains(s.begun, to) {
		message = s.repeat
	} else if watched {
		if err := s.record.begins(ctx, to); err != nil {
			return "", nil, err
		}
	}
	said, sendErr = s.channel.Send(ctx, message, to)
	switch {
	case s.record == nil:
	case sendErr == nil:
		err = s.record.arrived(ctx, to, only)
	case watched && ctx.Err() == nil && !slices.Contains(s.begun, to) && !notify.MayHaveArrived(sendErr):
		err = s.record.failed(ctx, to)
	}
	return said, sendErr, err
}

// deliveryRecord keeps it with the delivery.
type deliveryRecord struct {
	a  *Activities
	id string
}

func (r deliveryRecord) begins(ctx context.Context, to string) error {
	return r.a.DB.MarkBegun(ctx, r.id, to)
}

func (r deliveryRecord) arrived(ctx context.Context, to string, only bool) error {
	r.a.at("notify.sent")
	if only {
		return nil
	}
	return r.a.DB.MarkReached(ctx, r.id, to)
}

func (r deliveryRecord) failed(ctx context.Context, to string) error {
	return r.a.DB.MarkNotReached(ctx, r.id, to)
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
