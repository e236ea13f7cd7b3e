package s3

// WithSmallLimits makes a store do with kibibytes what it does with gigabytes. The protocol wants
// parts of 5 MiB at least, all but the last.
func (s *Store) WithSmallLimits() *Store {
	s.limits.single, s.limits.buffered, s.limits.part = 6<<20, 6<<20, 5<<20
	s.limits.copyOne, s.limits.copyPart = 6<<20, 5<<20
	return s
}

// WithPages makes a store list so many entries at a time.
func (s *Store) WithPages(entries int32) *Store {
	s.limits.page = entries
	return s
}
