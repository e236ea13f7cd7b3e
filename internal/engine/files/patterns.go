package files

import (
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// patterns are lines as in a .gitignore file: the last one that matches decides, ! turns it around, a
// slash at the beginning or in the middle ties it to the root, one at the end means directories only.
type patterns []pattern

type pattern struct {
	glob    string // for doublestar
	exact   string // the glob if it has no special character, else ""
	base    bool   // it is matched with the name alone
	negated bool
	dirs    bool
}

// parsePatterns refuses what is no glob: a pattern that silently matches nothing backs up what it should
// not, or leaves out what it should not.
func parsePatterns(field string, lines []string) (patterns, error) {
	var all patterns
	for _, line := range lines {
		p := pattern{glob: trimPattern(line)}
		if p.glob == "" || strings.HasPrefix(p.glob, "#") {
			continue
		}
		if rest, ok := strings.CutPrefix(p.glob, "!"); ok {
			p.glob, p.negated = rest, true
		}
		p.glob, p.dirs = strings.TrimRight(p.glob, "/"), strings.HasSuffix(p.glob, "/")
		p.base = !strings.Contains(p.glob, "/")
		p.glob = strings.TrimPrefix(p.glob, "/")
		p.glob = strings.NewReplacer("{", `\{`, "}", `\}`).Replace(p.glob) // git has no alternatives
		if p.glob == "" || !doublestar.ValidatePattern(p.glob) {
			return nil, failure.New(failure.ConfigInvalid, "read "+field, "the pattern "+line+" is not one of gitignore", "Correct the pattern of the datasource.")
		}
		if !strings.ContainsAny(p.glob, `*?[\`) {
			p.exact = p.glob
		}
		all = append(all, p)
	}
	return all, nil
}

// trimPattern removes spaces at the end that are not escaped.
func trimPattern(line string) string {
	trimmed := strings.TrimRight(line, " \t")
	if strings.HasSuffix(trimmed, `\`) && len(trimmed) < len(line) {
		trimmed += " "
	}
	return trimmed
}

// match reports whether a pattern matches, and which way the last one of these decides.
func (all patterns) match(path, name string, dir bool) (decided, positive bool) {
	for i := len(all) - 1; i >= 0; i-- {
		p := &all[i]
		if p.dirs && !dir {
			continue
		}
		subject := path
		if p.base {
			subject = name
		}
		if p.matches(subject) {
			return true, !p.negated
		}
	}
	return false, false
}

func (p *pattern) matches(subject string) bool {
	if p.exact != "" {
		return p.exact == subject
	}
	return doublestar.MatchUnvalidated(p.glob, subject)
}

// selection says what of a tree is backed up.
type selection struct{ include, exclude patterns }

// excluded reports whether an entry, and everything below it, is left out.
func (s selection) excluded(path, name string, dir bool) bool {
	_, yes := s.exclude.match(path, name, dir)
	return yes
}

// included reports whether an entry is wanted, given whether the directory it is in is.
func (s selection) included(path, name string, dir, parent bool) bool {
	if len(s.include) == 0 {
		return true
	}
	if decided, yes := s.include.match(path, name, dir); decided {
		return yes
	}
	return parent
}
