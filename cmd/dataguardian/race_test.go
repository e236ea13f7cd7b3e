//go:build race

package main

import "time"

// readyWithin is looser than the 10 s that are promised: with the race detector everything takes several times as long, and
// the tests of other packages run beside.
const readyWithin = time.Minute
