package engine

// Teller is told from time to time, from other goroutines, how far a server is, in percent, with work that moves no
// byte through the worker: a backup that it writes by itself, a restore that it reads. nil is told nothing.
type Teller func(percent float64)
