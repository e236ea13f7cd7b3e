// Package dbcompare says whether two Postgres databases hold the same: every table's rows, every
// sequence's position and the definition of every object. The demo and the integration tests use
// it to prove a restore, so it trusts nothing of the code that made the copy: it reads both
// databases through SQL and compares what they answer.
//
// Not compared: owners, privileges and what belongs to the server and not to the database (roles,
// tablespaces), because a restore for another owner changes them on purpose.
package dbcompare

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Content is what one relation holds: its number of rows and a hash of them that does not depend
// on their order. The zero Hash belongs to no rows.
type Content struct {
	Rows int64
	Hash string // 32 hexadecimal digits
}

// Table is one relation with rows in both databases. A side where it does not exist is nil.
type Table struct {
	Name string // schema-qualified and quoted where SQL would quote it
	A, B *Content
}

// Equal reports whether both sides have the table with the same rows.
func (t Table) Equal() bool { return t.A != nil && t.B != nil && *t.A == *t.B }

// Object is the definition of one thing that is not rows (a sequence with its position, a view, a
// function, a constraint…) in both databases. A side where it does not exist is nil.
type Object struct {
	Kind string // for example "sequence"
	Name string
	A, B *string
}

// Equal reports whether both sides have the object with the same definition.
func (o Object) Equal() bool { return o.A != nil && o.B != nil && *o.A == *o.B }

// Comparison is two databases side by side, in ascending order of kinds and names.
type Comparison struct {
	Tables  []Table
	Objects []Object
}

// Equal reports whether nothing differs. Two databases without a single table are not equal but
// empty: a restore that loaded nothing must not pass for a good one.
func (c Comparison) Equal() bool { return len(c.Tables) > 0 && len(c.Differences()) == 0 }

// Differences tells every difference in a line, the tables' first.
func (c Comparison) Differences() []string {
	var lines []string
	for _, t := range c.Tables {
		if !t.Equal() {
			lines = append(lines, fmt.Sprintf("table %s: %s against %s", t.Name, t.A, t.B))
		}
	}
	for _, o := range c.Objects {
		if !o.Equal() {
			lines = append(lines, fmt.Sprintf("%s %s: %s against %s", o.Kind, o.Name, describe(o.A), describe(o.B)))
		}
	}
	return lines
}

// String reads "12 rows (3f…)", or "missing".
func (c *Content) String() string {
	if c == nil {
		return "missing"
	}
	return fmt.Sprintf("%d rows (%s)", c.Rows, c.Hash)
}

func describe(definition *string) string {
	if definition == nil {
		return "missing"
	}
	return fmt.Sprintf("%q", *definition)
}

// Kinds lists the kinds of objects in order, and counts of each how many are equal and how many there are.
func (c Comparison) Kinds() (kinds []string, equal, total map[string]int) {
	equal, total = map[string]int{}, map[string]int{}
	for _, o := range c.Objects {
		total[o.Kind]++
		if o.Equal() {
			equal[o.Kind]++
		}
	}
	return slices.Sorted(maps.Keys(total)), equal, total
}

// Compare reads both databases, each in one read-only snapshot and both at the same time, and puts
// them side by side. A probe is a SQL query whose rows, in the order in which they come, are
// compared as one more object of kind "query": with it a view is not only there, it also answers.
// search_path is empty, so a probe names schemas; one that works on neither side is an error.
//
// Compare wants the right to read everything. Its connections must be idle, and are left with the
// settings they came with.
func Compare(ctx context.Context, a, b *pgx.Conn, probes ...string) (Comparison, error) {
	var left, right snapshot
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { left, err = read(groupCtx, a, probes); return err })
	group.Go(func() (err error) { right, err = read(groupCtx, b, probes); return err })
	if err := group.Wait(); err != nil {
		return Comparison{}, err
	}

	for _, probe := range probes {
		if message, refused := left.refused[probe]; refused && right.refused[probe] != "" {
			return Comparison{}, fmt.Errorf("compare: query %q works on neither side: %s", probe, message)
		}
	}

	var c Comparison
	for _, name := range keys(left.tables, right.tables) {
		c.Tables = append(c.Tables, Table{Name: name, A: lookup(left.tables, name), B: lookup(right.tables, name)})
	}
	for _, id := range keys(left.objects, right.objects) {
		c.Objects = append(c.Objects, Object{
			Kind: id[0], Name: id[1], A: lookup(left.objects, id), B: lookup(right.objects, id),
		})
	}
	return c, nil
}

// objectID is the kind and the name of an object.
type objectID = [2]string

func lookup[K comparable, V any](m map[K]V, key K) *V {
	if value, ok := m[key]; ok {
		return &value
	}
	return nil
}

// keys lists the keys of both maps once, in order.
func keys[K string | objectID, V any](a, b map[K]V) []K {
	all := make(map[K]struct{}, len(a))
	for key := range a {
		all[key] = struct{}{}
	}
	for key := range b {
		all[key] = struct{}{}
	}
	return slices.SortedFunc(maps.Keys(all), func(x, y K) int {
		return slices.Compare(words(x), words(y))
	})
}

func words[K string | objectID](key K) []string {
	switch k := any(key).(type) {
	case objectID:
		return k[:]
	default:
		return []string{any(key).(string)}
	}
}
