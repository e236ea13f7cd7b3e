package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// manyTimeouts are so many in a row that the server, and not a recipient, is the trouble.
const manyTimeouts = 2

// sending is one attempt at a message for every recipient of a channel.
type sending struct {
	channel  notify.Channel
	message  notify.Message
	repeat   notify.Message           // for who may have it already
	reached  []string                 // who has it
	begun    []string                 // who may have it
	outcomes domain.RecipientOutcomes // of earlier attempts
	record   recipientRecord
}

// recipientRecord keeps what is known of each recipient, for the attempt after one that is lost.
type recipientRecord interface {
	// begins is called before the first byte is sent.
	begins(ctx context.Context, to string) error
	// arrived is called for each that has it; the only recipient of a channel is recorded with the delivery's end.
	arrived(ctx context.Context, to, said string, only bool) error
	// failed is called when nobody said that it has arrived. notBegun: no attempt before may have brought it.
	failed(ctx context.Context, to string, state domain.RecipientState, why error, only, notBegun bool) error
}

// turns are the recipients that have not got it and were not refused: first those that were not tried, then those that were
// tried the longest ago. So whoever ends an attempt, as by a server that has enough for now, is the last in the next one.
func (s sending) turns() (turns []string, refused []error) {
	for _, to := range s.channel.Recipients() {
		switch before := s.outcomes[to]; {
		case slices.Contains(s.reached, to):
		case before.State == domain.RecipientRefused:
			refused = append(refused, failure.WithSubject(failure.New(failure.ConfigInvalid, "", before.Said, ""), domain.RecipientName(to)))
		default:
			turns = append(turns, to)
		}
	}
	slices.SortStableFunc(turns, func(a, b string) int { return s.outcomes[a].At.Compare(s.outcomes[b].At) })
	return turns, refused
}

// toAll sends to each recipient that has not got it. A failure does not keep the message from the others, unless
// it would be theirs too: refused credentials, a server that is silent, or one that wants to be left alone for a while. The
// answer tells what the server said to each. The error is of the first passing one, so that it is tried again, else what is
// permanent; it tells of the permanent ones in any case.
func (s sending) toAll(ctx context.Context) (answer string, err error) {
	var passing error
	var wait time.Duration
	var answers []string
	turns, permanent := s.turns()
	n := len(s.channel.Recipients())
	timeouts := 0
	for _, to := range turns {
		if ctx.Err() != nil {
			return strings.Join(answers, "; "), ctx.Err()
		}
		said, sendErr, err := s.to(ctx, to, n == 1)
		if err != nil {
			return strings.Join(answers, "; "), err
		}
		class := failure.ClassOf(sendErr)
		timeouts++
		if class != failure.Timeout {
			timeouts = 0
		}
		wait = max(wait, notify.RetryAfter(sendErr))
		switch {
		case sendErr == nil:
			answers = append(answers, answerFor(n, to, said))
		case failure.IsPermanent(class):
			permanent = append(permanent, failure.WithSubject(sendErr, domain.RecipientName(to)))
		case passing == nil:
			passing = failure.WithSubject(sendErr, domain.RecipientName(to))
		}
		rest := notify.WantsRest(sendErr) && !failure.IsPermanent(class) // else there is no attempt after this one for the others
		if class == failure.AuthFailed || timeouts == manyTimeouts || rest {
			break
		}
	}
	if passing != nil {
		permanent = append([]error{passing}, permanent...)
	}
	return strings.Join(answers, "; "), notify.WithRetryAfter(together(permanent), wait)
}

// to sends to one recipient and records what came of it. err is that of the record.
func (s sending) to(ctx context.Context, to string, only bool) (said string, sendErr, err error) {
	message, watched, again := s.message, s.record != nil && !s.channel.CarriesID(), slices.Contains(s.begun, to)
	if again {
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
		err = s.record.arrived(ctx, to, said, only)
	case ctx.Err() == nil:
		err = s.record.failed(ctx, to, stateAfter(sendErr), sendErr, only, watched && !again)
	}
	return said, sendErr, err
}

// stateAfter is what an error makes of a recipient. Credentials that are refused are nothing of the recipient's.
func stateAfter(err error) domain.RecipientState {
	switch class := failure.ClassOf(err); {
	case notify.MayHaveArrived(err):
		return domain.RecipientUncertain
	case failure.IsPermanent(class) && class != failure.AuthFailed:
		return domain.RecipientRefused
	}
	return domain.RecipientFailed
}

// deliveryRecord keeps it with the delivery.
type deliveryRecord struct {
	a       *Activities
	id      string
	secrets []string
}

func (r deliveryRecord) begins(ctx context.Context, to string) error {
	return r.a.DB.MarkBegun(ctx, r.id, to)
}

// arrived is recorded although the activity has been cancelled: it is not to be sent again.
func (r deliveryRecord) arrived(ctx context.Context, to, said string, only bool) error {
	r.a.at("notify.sent")
	if only {
		return nil
	}
	ctx, stop := r.a.recording(ctx)
	defer stop()
	return r.a.DB.MarkReached(ctx, r.id, to, failure.Redact(said, r.secrets...))
}

func (r deliveryRecord) failed(ctx context.Context, to string, state domain.RecipientState, why error, only, notBegun bool) error {
	outcome := domain.RecipientOutcome{State: state, Said: failure.Redact(why.Error(), r.secrets...)}
	notBegun = notBegun && state != domain.RecipientUncertain
	if only {
		if !notBegun {
			return nil
		}
		outcome = domain.RecipientOutcome{} // the delivery's error says it
	}
	return r.a.DB.MarkNotReached(ctx, r.id, to, outcome, notBegun)
}

// answerFor is what the server said about one of n recipients.
func answerFor(n int, to, said string) string {
	if n < 2 {
		return said
	}
	return domain.RecipientName(to) + ": " + said
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
