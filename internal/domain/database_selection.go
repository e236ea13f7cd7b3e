package domain

import (
	"path"
	"slices"
)

// DatabaseSelection stands in the place of a database's name: every database of the server is backed
// up, new ones included, but for those that a pattern excludes.
type DatabaseSelection struct {
	All     bool     `json:"all" doc:"Must be true: every database of the server but those of exclude"`
	Exclude []string `json:"exclude,omitempty" doc:"Shell patterns of names that are left out, for example test_*" maxItems:"1000"`
}

// Selects reports whether the database is backed up.
func (s DatabaseSelection) Selects(name string) bool {
	return s.All && !slices.ContainsFunc(s.Exclude, func(pattern string) bool {
		matches, err := path.Match(pattern, name)
		return err == nil && matches
	})
}

func (s DatabaseSelection) validate() Invalid {
	var v Invalid
	if !s.All {
		v.Add("all", "must be true; for one database give its name as database instead")
	}
	checkPatterns(&v, "exclude", s.Exclude)
	for _, pattern := range s.Exclude {
		if _, err := path.Match(pattern, ""); err != nil {
			v.Add("exclude", "has %q, which is not a shell pattern such as test_*", pattern)
		}
	}
	return v
}
