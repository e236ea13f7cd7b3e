package engine

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// Choice is StageRequest.IncludeTables at work: which tables of a backup are restored (of sqlite, also which are backed up). In a name * stands for any
// text and ? for any character; a name that is written as it is means itself whatever is in it.
type Choice struct {
	names    []string
	patterns []*regexp.Regexp
	found    []bool
}

var wildcards = strings.NewReplacer(`\*`, `.*`, `\?`, `.`)

// NewChoice is nil, which takes everything, for no names.
func NewChoice(names []string) *Choice {
	if len(names) == 0 {
		return nil
	}
	c := &Choice{names: names, found: make([]bool, len(names))}
	for _, name := range names {
		c.patterns = append(c.patterns, regexp.MustCompile(`(?s)^`+wildcards.Replace(regexp.QuoteMeta(name))+`$`))
	}
	return c
}

// Takes reports whether a table of the backup is restored; it may have several names.
func (c *Choice) Takes(names ...string) bool {
	if c == nil {
		return true
	}
	taken := false
	for _, name := range names {
		for i, pattern := range c.patterns {
			if name == c.names[i] || pattern.MatchString(name) {
				c.found[i], taken = true, true
			}
		}
	}
	return taken
}

// Missing is failure.NotFound if a name stands for none of the tables that Takes was asked for, which were all.
func (c *Choice) Missing() error {
	name := c.Unmatched()
	if name == "" {
		return nil
	}
	return failure.New(failure.NotFound, "choose the tables", fmt.Sprintf("the backup has none that %q in include_tables names", name),
		"Correct include_tables of the restore; nothing was replaced.")
}

// Unmatched is the first name that stands for none of the tables that Takes was asked for, or "".
func (c *Choice) Unmatched() string {
	if c == nil {
		return ""
	}
	for i, found := range c.found {
		if !found {
			return c.names[i]
		}
	}
	return ""
}

// MayReplace reports whether a target that is not empty may be replaced as a whole: not by some tables of it.
func (r StageRequest) MayReplace() bool { return r.DropExisting && len(r.IncludeTables) == 0 }

// NotEmptyHint is what to do about a target that is not empty and may not be replaced.
func (r StageRequest) NotEmptyHint() string {
	if len(r.IncludeTables) > 0 {
		return "Restore chosen tables into a new or empty target_database and copy them from there: what is replaced is replaced as a whole."
	}
	return "Set drop_existing to replace it, or give another target_database."
}
