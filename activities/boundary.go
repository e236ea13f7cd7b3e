package activities

// A boundary is a point between two stages of an activity at which something has just become
// durable: on the storage location, in the catalogue or on the target. A process that dies exactly
// there is the case that a resumption or a clean-up has to get right, so tests stop a worker at each.
// Names are "<activity>.<what has just happened>", for example "dump.manifest_written".

// at tells the tests' hook that a boundary was reached.
func (a *Activities) at(boundary string) {
	if a.Boundary != nil {
		a.Boundary(boundary)
	}
}
