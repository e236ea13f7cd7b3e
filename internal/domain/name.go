package domain

import (
	"regexp"
	"slices"
	"strings"
)

var poolName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckName finds what is wrong with a display name.
func CheckName(v *Invalid, name string) {
	switch trimmed := strings.TrimSpace(name); {
	case trimmed == "":
		v.Add("name", "is required")
	case len(name) > 200:
		v.Add("name", "is %d bytes long; give at most 200", len(name))
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		v.Add("name", "must not contain control characters")
	}
}

// CheckPool finds what is wrong with the name of a worker pool.
func CheckPool(v *Invalid, pool string) {
	if !poolName.MatchString(pool) {
		v.Add("pool", "is %q; use lower-case letters, digits and dashes, 63 at most", pool)
	}
}

// NormalizeTags trims, lower-cases, sorts and de-duplicates tags, and drops empty ones.
func NormalizeTags(tags []string) []string {
	out := make([]string, 0, len(tags))
	for _, tag := range tags {
		if tag = strings.ToLower(strings.TrimSpace(tag)); tag != "" {
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// Slug is a name made safe for a path on any storage: lower-case letters, digits and dashes, at
// most 40, "datasource" where nothing is left.
func Slug(name string) string {
	slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(slug) > 40 {
		slug = strings.Trim(slug[:40], "-")
	}
	if slug == "" {
		return "datasource"
	}
	return slug
}

// ID8 is the short form of a UUIDv7 used in paths. It is the last eight hex digits: the first
// ones are the clock and nearly the same for ids made together.
func ID8(id string) string {
	if len(id) < 8 {
		return id
	}
	return id[len(id)-8:]
}
