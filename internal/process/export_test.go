package process

import (
	"testing"
	"time"
)

// ShortenHeaderTime makes servers that begin during a test wait less for headers.
func ShortenHeaderTime(t *testing.T, to time.Duration) {
	before := headerTime
	headerTime = to
	t.Cleanup(func() { headerTime = before })
}
