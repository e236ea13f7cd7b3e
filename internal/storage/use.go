package storage

import "time"

// Use is what one use of a storage location asks for besides the location's own settings. The zero
// value is a use that is alone with the location and has no limit.
type Use struct {
	// LocationID is the location's id: all uses of one id in a process share its parallel_uploads.
	LocationID string
	// BandwidthMbps is the most that is sent, and the most that is received, in megabits a second; 0
	// is no limit.
	BandwidthMbps float64
	// Reading says that nothing will be written: opening the location makes no directory, and clears nothing
	// away.
	Reading bool
	// Patience is how long a call waits for a location that can not be reached to come back; 0 is
	// the default of package retry.
	Patience time.Duration
}
