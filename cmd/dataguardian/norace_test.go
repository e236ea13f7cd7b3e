//go:build !race

package main

import "time"

// readyWithin is what is promised.
const readyWithin = 10 * time.Second
