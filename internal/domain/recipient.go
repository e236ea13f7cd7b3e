package domain

import (
	"strings"
	"time"
)

// RecipientState is what came of one recipient of a message.
type RecipientState string

// The states of a recipient.
const (
	RecipientSent      RecipientState = "sent"      // the server took the message
	RecipientRefused   RecipientState = "refused"   // for good: no later attempt goes there
	RecipientFailed    RecipientState = "failed"    // in a way that may pass
	RecipientUncertain RecipientState = "uncertain" // no answer came: the message may be there
)

// RecipientOutcome is what came of the last attempt at one recipient. Said may hold no secret.
type RecipientOutcome struct {
	State RecipientState `json:"state"`
	Said  string         `json:"said,omitempty"` // the server, or why it was not reached
	At    time.Time      `json:"at"`
}

// RecipientOutcomes are those of a delivery, by recipient.
type RecipientOutcomes map[string]RecipientOutcome

// RecipientName names who a message is for; of a telephone number the end: it is somebody's.
func RecipientName(to string) string {
	switch {
	case strings.Contains(to, "@"):
		return "recipient " + to
	case len(to) <= 4:
		return ""
	}
	return "number ending in " + to[len(to)-4:]
}
