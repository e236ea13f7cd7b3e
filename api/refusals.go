package api

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

const (
	// refusalWindow is for how long refusals of one kind are told together.
	refusalWindow = 15 * time.Minute
	// strangersTold are told one by one in a window: anybody can cause them. accountsTold are those of who is signed in.
	strangersTold, accountsTold = 1, 200
	// maxTallies bounds the kinds of strangers that are told apart, so that neither memory nor the trail grows with the addresses
	// of an attacker.
	maxTallies = 200
)

// actionRefused is what somebody was refused who is signed in.
const actionRefused = "access.refused"

// actionOIDCRefused is a sign-in by a provider that was refused.
const actionOIDCRefused = "auth.oidc_refused"

// refusals writes what is refused into the audit trail, and does not let it be filled: the first of a kind in a window are
// entries of their own, what comes after them is counted, and told by one entry when the window ends. The counts are in this
// process: what it counted in its last window goes with it.
type refusals struct {
	window time.Duration
	write  func(context.Context, db.AuditEntry) error

	mu        sync.Mutex
	open      map[tallyKey]*tally
	strangers int // those of open that are of nobody who is signed in
}

// tallyKey tells kinds of refusals apart.
type tallyKey struct {
	action, reason, actor string
	network               string // "" for all that find no room of their own
}

type tally struct {
	entry db.AuditEntry // the latest one
	told  int
	more  int
	since time.Time
}

func newRefusals(window time.Duration, write func(context.Context, db.AuditEntry) error) *refusals {
	return &refusals{window: window, write: write, open: make(map[tallyKey]*tally)}
}

// add writes an entry or counts it. complete, which may be nil, adds to one that is written what costs a query.
func (r *refusals) add(ctx context.Context, entry db.AuditEntry, complete func(*db.AuditEntry) error) error {
	kind, tell := r.count(&entry)
	if !tell {
		return nil
	}
	var err error
	if complete != nil {
		err = complete(&entry)
	}
	if err == nil {
		err = r.write(ctx, entry)
	}
	if err != nil {
		r.mu.Lock()
		kind.told-- // the next one of its kind is tried
		kind.more++
		r.mu.Unlock()
	}
	return err
}

// count counts an entry, and reports whether it is to be written.
func (r *refusals) count(entry *db.AuditEntry) (*tally, bool) {
	key := tallyKey{action: entry.Action, network: auth.Network(entry.IP)}
	key.reason, _ = entry.Changes["reason"].(string)
	limit := strangersTold
	if entry.ActorID != nil {
		key.actor, key.network = *entry.ActorID, "" // an account has one tally, however many addresses it has
	}
	if entry.Action == actionRefused {
		key.reason, limit = "", accountsTold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.open[key]
	if !ok && entry.ActorID == nil && r.strangers >= maxTallies {
		key = tallyKey{action: entry.Action}
		entry.IP, entry.UserAgent = "", ""
		found, ok = r.open[key]
	}
	if !ok {
		found = &tally{since: time.Now()}
		r.open[key] = found
		if key.actor == "" {
			r.strangers++
		}
		time.AfterFunc(r.window, func() { r.close(key) })
	}
	found.entry = *entry
	if found.told < limit {
		found.told++
		return found, true
	}
	found.more++
	return found, false
}

// close tells how many there were besides.
func (r *refusals) close(key tallyKey) {
	r.mu.Lock()
	found := r.open[key]
	if delete(r.open, key); key.actor == "" {
		r.strangers--
	}
	if found == nil || found.more == 0 {
		r.mu.Unlock()
		return
	}
	entry, more := found.entry, found.more
	r.mu.Unlock()
	entry.Changes = maps.Clone(entry.Changes)
	if entry.Changes == nil {
		entry.Changes = map[string]any{}
	}
	entry.Changes["more"], entry.Changes["since"] = more, found.since.UTC()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// The writer logs what it can not write; there is nobody left to answer.
	_ = r.write(ctx, entry)
}

// writeRefusal is where refusals go.
func (s *server) writeRefusal(ctx context.Context, entry db.AuditEntry) error {
	err := s.db.AddAudit(ctx, entry)
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "a refusal could not be audited", "action", entry.Action, "error", err)
	}
	return err
}
