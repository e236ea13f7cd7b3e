package db

import (
	"sync"
	"time"
)

// access is what a user may do, in one state of the catalogue's access.
type access struct {
	state       int64 // as accessState says it: each has one meaning, because all are of committed changes, one more each
	permissions []string
	limits      *Limits // nil for nothing
}

const (
	// knownAccessFor is how long what a user may do is believed even where the state says that it is the same: a catalogue that was put
	// back from a backup under a running API counts from an earlier number.
	knownAccessFor = time.Minute
	// mostKnownAccess is how many users are remembered; then it begins anew.
	mostKnownAccess = 10_000
)

// knownAccess remembers what users may do. Safe for concurrent use.
type knownAccess struct {
	mu     sync.Mutex
	byUser map[string]readAccess
}

type readAccess struct {
	access
	at time.Time
}

// of is what a user may do, if it was read in this state of the access.
func (k *knownAccess) of(userID string, state int64) (access, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, is := k.byUser[userID]
	if is && time.Since(known.at) >= knownAccessFor {
		delete(k.byUser, userID)
		return access{}, false
	}
	return known.access, is && known.state == state
}

func (k *knownAccess) keep(userID string, a access) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byUser == nil || len(k.byUser) >= mostKnownAccess {
		k.byUser = make(map[string]readAccess)
	}
	k.byUser[userID] = readAccess{access: a, at: time.Now()}
}
