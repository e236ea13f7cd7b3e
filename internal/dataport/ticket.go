package dataport

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// ticketLife is how long a ticket may wait for its connection. The transfer itself has no limit.
	ticketLife = time.Minute
	// clockSkew is by how much the clocks of API and worker may differ.
	clockSkew = 30 * time.Second
)

// Errors of a ticket that is not taken. They tell a stranger nothing, and an operator enough.
var (
	errForged  = errors.New("the ticket is not from a holder of this worker's master key, or is for another worker")
	errExpired = errors.New("the ticket has expired; check the clocks of the API's and the worker's machines")
	errUsed    = errors.New("the ticket was used already")
)

// ticket is the right to one transfer.
type ticket struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
	Request Request   `json:"request"`
}

// mint seals a ticket for the port that shows this certificate.
func (k Key) mint(request Request, certificate []byte, now time.Time) (string, error) {
	text, err := json.Marshal(ticket{ID: rand.Text(), Expires: now.Add(ticketLife), Request: request})
	if err != nil {
		return "", fmt.Errorf("encode a ticket: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(k.tickets().Seal(nil, nil, text, certificate)), nil //nolint:gosec // it makes a random nonce itself
}

// gate takes tickets, each once.
type gate struct {
	key         Key
	certificate []byte
	now         func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // id -> when it may be forgotten
}

func newGate(key Key, certificate []byte) *gate {
	return &gate{key: key, certificate: certificate, now: time.Now, used: map[string]time.Time{}}
}

// take opens a ticket and remembers it until it has expired. Only holders of the key can make it
// remember anything.
func (g *gate) take(sealed string) (Request, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return Request{}, errForged
	}
	text, err := g.key.tickets().Open(nil, nil, raw, g.certificate)
	if err != nil {
		return Request{}, errForged
	}
	var t ticket
	if err := json.Unmarshal(text, &t); err != nil {
		return Request{}, errForged
	}
	now := g.now()
	if now.After(t.Expires.Add(clockSkew)) || t.Expires.After(now.Add(ticketLife+clockSkew)) {
		return Request{}, errExpired
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, until := range g.used {
		if now.After(until) {
			delete(g.used, id)
		}
	}
	if _, used := g.used[t.ID]; used {
		return Request{}, errUsed
	}
	g.used[t.ID] = t.Expires.Add(clockSkew)
	return t.Request, nil
}
