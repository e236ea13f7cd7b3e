package auth

import (
	"container/list"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ThrottleLimits says how many sign-ins are let through. Each limit is a bucket: Burst attempts at
// once, then one more every Interval.
type ThrottleLimits struct {
	AccountBurst    int           // attempts at one account from one address
	AccountInterval time.Duration // time after which one more is allowed
	AddressBurst    int           // attempts from one address at any account
	AddressInterval time.Duration
	MaxEntries      int // buckets kept; the least recently used go first
}

// DefaultThrottleLimits lets a person mistype a few times and stops a guessing program.
func DefaultThrottleLimits() ThrottleLimits {
	return ThrottleLimits{
		AccountBurst: 5, AccountInterval: 12 * time.Second,
		AddressBurst: 30, AddressInterval: 2 * time.Second,
		MaxEntries: 20_000,
	}
}

// Throttle slows down password guessing. It counts an account together with the address it is
// tried from, so that nobody can lock another person out from elsewhere, and the address alone, so
// that trying many accounts is slow too. It lives in this process's memory: several API processes
// allow as many times more.
type Throttle struct {
	limits ThrottleLimits
	now    func() time.Time

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List // of *bucket, most recently used first
}

type bucket struct {
	key     string
	limiter *rate.Limiter
}

// NewThrottle returns a Throttle that is ready for concurrent use; now is the clock, nil for the
// real one.
func NewThrottle(limits ThrottleLimits, now func() time.Time) *Throttle {
	if now == nil {
		now = time.Now
	}
	return &Throttle{limits: limits, now: now, entries: make(map[string]*list.Element), recent: list.New()}
}

// Allow counts one attempt. Zero lets it through; otherwise it must not be made, and the duration
// is how long to wait. A refused attempt is not counted.
func (t *Throttle) Allow(account, address string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	byAddress := t.bucket(addressKey(address), t.limits.AddressInterval, t.limits.AddressBurst).ReserveN(now, 1)
	byAccount := t.bucket(accountKey(account, address), t.limits.AccountInterval, t.limits.AccountBurst).ReserveN(now, 1)
	wait := max(byAddress.DelayFrom(now), byAccount.DelayFrom(now))
	if wait > 0 {
		byAddress.CancelAt(now)
		byAccount.CancelAt(now)
	}
	return wait
}

// Succeeded forgets the failures of an account from an address after a good sign-in.
func (t *Throttle) Succeeded(account, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if element, ok := t.entries[accountKey(account, address)]; ok {
		t.drop(element)
	}
}

// Len is how many buckets are kept.
func (t *Throttle) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.recent.Len()
}

func (t *Throttle) bucket(key string, interval time.Duration, burst int) *rate.Limiter {
	if element, ok := t.entries[key]; ok {
		t.recent.MoveToFront(element)
		return element.Value.(*bucket).limiter
	}
	for t.recent.Len() >= t.limits.MaxEntries && t.recent.Len() > 0 {
		t.drop(t.recent.Back())
	}
	limiter := rate.NewLimiter(rate.Every(interval), burst)
	t.entries[key] = t.recent.PushFront(&bucket{key: key, limiter: limiter})
	return limiter
}

func (t *Throttle) drop(element *list.Element) {
	delete(t.entries, element.Value.(*bucket).key)
	t.recent.Remove(element)
}

func accountKey(account, address string) string {
	return "account\x00" + strings.ToLower(strings.TrimSpace(account)) + "\x00" + Network(address)
}

func addressKey(address string) string { return "address\x00" + Network(address) }

// Network is the unit that one attacker commands: an IPv4 address, or an IPv6 /64.
func Network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
