package tunnel

import "time"

// Patience sets how long the bastion host may take to reach the target.
func (t *Tunnel) Patience(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.patience = d
}
