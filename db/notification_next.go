package db

import (
	"context"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// OpenDeliveries are the channels that something waits for, and the heartbeats that wait. What waits for a
// channel that is gone is dropped first.
func (q *Queries) OpenDeliveries(ctx context.Context) (channels, heartbeats []string, err error) {
	const op = "look for deliveries that wait"
	if err := q.q.DropOrphans(ctx); err != nil {
		return nil, nil, translate(op, err)
	}
	if channels, err = q.q.ChannelsWithOpenDeliveries(ctx); err != nil {
		return nil, nil, translate(op, err)
	}
	heartbeats, err = q.q.OpenHeartbeats(ctx)
	return channels, heartbeats, translate(op, err)
}

// NextDelivery is what a channel is sent next.
type NextDelivery struct {
	ID       string        // to be sent now; "" for nothing
	Wait     time.Duration // with no ID: when to ask again; 0: nothing waits
	RetryFor time.Duration // how long the delivery is tried, until others have their turn
}

const (
	// firstRound is how long others of the channel wait behind one that is tried, and laterRound how long behind one that
	// was tried in vain before.
	firstRound, laterRound = 10 * time.Minute, 2 * time.Minute
)

// maxDigest bounds how many deliveries one message stands for.
const maxDigest = 10_000

// NextDelivery takes the next delivery to a channel, and with it the others that are told in the same message.
// One that was taken and has not ended comes first. Calls for one channel wait for each other.
func (q *Queries) NextDelivery(ctx context.Context, channelID string) (next NextDelivery, err error) {
	const op = "choose the next delivery"
	settings := q.deliverySettings(ctx)
	err = q.inTx(ctx, func(q *Queries) error {
		if _, err := q.q.LockChannel(ctx, channelID); err != nil {
			if isMissing(translate(op, err)) {
				return translate(op, q.q.DropOrphans(ctx))
			}
			return translate(op, err)
		}
		sending, err := q.q.SendingOf(ctx, &channelID)
		if err != nil {
			return translate(op, err)
		}
		if len(sending) > 0 {
			next.ID = sending[0]
			return nil
		}
		next, err = q.take(ctx, channelID, settings)
		return err
	})
	if next.RetryFor == 0 {
		next.RetryFor = firstRound
	}
	return next, err
}

// take chooses among what waits, or says how long to wait.
func (q *Queries) take(ctx context.Context, channelID string, settings domain.NotificationSettings) (NextDelivery, error) {
	const op = "choose the next delivery"
	waiting, err := q.q.WaitingFor(ctx, dbgen.WaitingForParams{ChannelID: &channelID, Most: maxDigest})
	if err != nil || len(waiting) == 0 {
		return NextDelivery{}, translate(op, err)
	}
	now := time.Now()
	messages, err := q.q.MessagesSince(ctx, dbgen.MessagesSinceParams{ChannelID: &channelID, Since: now.Add(-time.Minute)})
	if err != nil {
		return NextDelivery{}, translate(op, err)
	}
	if wait := wished(now, waiting); wait > 0 {
		return NextDelivery{Wait: wait}, nil
	}
	due := slices.DeleteFunc(slices.Clone(waiting), func(r dbgen.WaitingForRow) bool { return r.DueAt.After(now) })
	fresh := slices.DeleteFunc(slices.Clone(due), func(r dbgen.WaitingForRow) bool { return r.Tried })
	if len(fresh) == 0 {
		fresh = due
	}
	if wait := waitFor(now, waiting, fresh, messages, settings); wait > 0 {
		return NextDelivery{Wait: wait}, nil
	}
	leader, others := gather(fresh[0], due, settings.DigestAbove)
	if err := q.q.TakeDelivery(ctx, leader.ID); err != nil {
		return NextDelivery{}, translate(op, err)
	}
	if len(others) > 0 {
		if err := q.q.SendWith(ctx, dbgen.SendWithParams{Leader: leader.ID, Ids: others}); err != nil {
			return NextDelivery{}, translate(op, err)
		}
	}
	next := NextDelivery{ID: leader.ID}
	if leader.Tried {
		next.RetryFor = laterRound
	}
	return next, nil
}

// wished is how long the server of the channel does not want to be asked: one that was tried waits for longer than a
// postponed one would.
func wished(now time.Time, waiting []dbgen.WaitingForRow) (wait time.Duration) {
	for _, row := range waiting {
		if at := row.DueAt.Sub(now); row.Tried && at > postponedFor {
			wait = max(wait, at)
		}
	}
	return wait
}

// gather says what is told in the message of leader, the first of due that is not tried, if there is one. What was tried
// leads no digest: whoever got it after all, unnoticed, would take the digest for a repetition of it.
func gather(leader dbgen.WaitingForRow, due []dbgen.WaitingForRow, above int) (_ dbgen.WaitingForRow, others []string) {
	if leader.Alone || leader.Tried {
		return leader, nil
	}
	for _, row := range due {
		if !row.Alone && row.ID != leader.ID {
			others = append(others, row.ID)
		}
	}
	if len(others) < above {
		return leader, nil
	}
	return leader, others
}

// waitFor is how long nothing is sent yet, 0 when the first of due is sent now. There is something waiting.
func waitFor(now time.Time, waiting, due []dbgen.WaitingForRow, messages []time.Time, s domain.NotificationSettings) time.Duration {
	if len(due) == 0 {
		first := slices.MinFunc(waiting, func(a, b dbgen.WaitingForRow) int { return a.DueAt.Compare(b.DueAt) })
		return first.DueAt.Sub(now)
	}
	gather := time.Duration(s.GatherSeconds) * time.Second
	until := due[len(due)-1].CreatedAt.Add(gather) // while more keep coming
	if limit := due[0].CreatedAt.Add(time.Duration(max(s.GatherLimitSeconds, s.GatherSeconds)) * time.Second); limit.Before(until) {
		until = limit
	}
	if len(messages) >= s.PerMinute {
		if free := messages[len(messages)-s.PerMinute].Add(time.Minute); free.After(until) {
			until = free
		}
	}
	return max(until.Sub(now), 0)
}
