package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// relationKinds are entries that are restored only if they are chosen, or something chosen needs them. Everything
// else comes along unless it needs what is left out.
var relationKinds = []string{tableKind, "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", sequenceKind}

const (
	sequenceKind = "SEQUENCE"
	defaultKind  = "DEFAULT"
	attachKind   = "TABLE ATTACH"
)

// neverChosen are of the whole database, and act by themselves.
var neverChosen = []string{"EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION", "DATABASE", "DATABASE PROPERTIES"}

// choose leaves of a table of contents what is needed for the chosen tables: them, the partitions of those that
// have some, their data, and what does not need any other table. It returns what is not as it was for people.
func (c *contents) choose(choice *engine.Choice) (warnings []string, err error) {
	p := &picking{byID: map[int]entry{}, chosen: map[int]bool{}, needed: map[int]bool{}, kept: map[int]bool{}}
	for _, e := range c.all {
		p.byID[e.id] = e
		if slices.Contains(relationKinds, e.kind) && e.kind != sequenceKind && choice.Takes(e.tag, e.namespace+"."+e.tag) {
			p.chosen[e.id] = true
		}
	}
	if err := choice.Missing(); err != nil {
		return nil, err
	}
	p.addPartitions(c.all)
	for id := range p.chosen {
		p.need(id)
	}
	for _, e := range c.all {
		if e.kind == defaultKind && slices.ContainsFunc(e.dependsOn, func(id int) bool { return p.chosen[id] }) {
			p.need(e.id)
		}
	}
	large := false
	for _, e := range c.all {
		p.kept[e.id] = p.keeps(e)
		large = large || strings.HasPrefix(e.kind, "BLOB")
	}
	c.keep(p.kept)
	if large {
		warnings = append(warnings, "large objects were not restored: they belong to no table")
	}
	return append(warnings, p.emptyOnes(c.all)...), nil
}

// keep drops everything else.
func (c *contents) keep(kept map[int]bool) {
	c.early = []int{}
	for _, e := range c.all {
		if kept[e.id] && e.section <= sectionPreData {
			c.early = append(c.early, e.id)
		}
	}
	dropped := func(id int) bool { return !kept[id] }
	c.objects, c.later = slices.DeleteFunc(c.objects, dropped), slices.DeleteFunc(c.later, dropped)
	c.withData = slices.DeleteFunc(c.withData, func(e entry) bool { return !kept[e.id] })
	for table, entries := range c.mayFollow {
		c.mayFollow[table] = slices.DeleteFunc(entries, func(e entry) bool { return !kept[e.id] })
	}
}

// picking is one run of choose.
type picking struct {
	byID   map[int]entry
	chosen map[int]bool // relations whose data is restored
	needed map[int]bool // chosen relations, and what their definitions need
	kept   map[int]bool
}

// addPartitions adds the partitions of chosen tables, and theirs.
func (p *picking) addPartitions(all []entry) {
	for found := true; found; {
		found = false
		for _, e := range all {
			if e.kind != attachKind {
				continue
			}
			for _, id := range e.dependsOn {
				// It is named after the partition, and needs both.
				parent := p.byID[id]
				if !p.chosen[id] || (parent.tag == e.tag && parent.namespace == e.namespace) {
					continue
				}
				for _, other := range e.dependsOn {
					if child := p.byID[other]; child.tag == e.tag && child.namespace == e.namespace && !p.chosen[other] {
						p.chosen[other], found = true, true
					}
				}
			}
		}
	}
}

// need takes an entry with everything that it needs. A sequence does without the table that owns it.
func (p *picking) need(id int) {
	e, known := p.byID[id]
	if !known || p.needed[id] {
		return
	}
	p.needed[id] = true
	for _, other := range e.dependsOn {
		if e.kind != sequenceKind || p.byID[other].kind != tableKind {
			p.need(other)
		}
	}
}

func (p *picking) keeps(e entry) bool {
	dropped := func(id int) bool {
		kept, seen := p.kept[id]
		return seen && !kept
	}
	keptTable := func(id int) bool { return p.kept[id] && p.byID[id].kind == tableKind }
	switch {
	case p.needed[e.id]:
		return true
	case e.kind == tableDataKind:
		return p.chosen[e.table()]
	case e.kind == sequenceKind: // an identity column's
		return slices.ContainsFunc(e.dependsOn, keptTable) && !slices.ContainsFunc(e.dependsOn, dropped)
	case slices.Contains(relationKinds, e.kind), slices.Contains(neverChosen, e.kind), strings.HasPrefix(e.kind, "BLOB"):
		return false
	}
	return !slices.ContainsFunc(e.dependsOn, dropped)
}

// emptyOnes names tables that are there without their rows.
func (p *picking) emptyOnes(all []entry) (warnings []string) {
	for _, e := range all {
		if e.kind == tableKind && p.kept[e.id] && !p.chosen[e.id] {
			warnings = append(warnings, fmt.Sprintf("table %s.%s was made without its rows, because a chosen table or view needs it", quoted(e.namespace), quoted(e.tag)))
		}
	}
	return warnings
}

// chooseFrom leaves what the request chooses.
func (s *staging) chooseFrom(toc *contents) error {
	choice := engine.NewChoice(s.req.IncludeTables)
	if choice == nil {
		return nil
	}
	warnings, err := toc.choose(choice)
	s.warnings = append(s.warnings, warnings...)
	return err
}

// errNoChoice is about a dump whose structure is not known well enough to restore some of it.
func (s *staging) errNoChoice() error {
	if len(s.req.IncludeTables) == 0 {
		return nil
	}
	return failure.New(failure.Unsupported, "choose the tables", "the backup does not say where it holds which table",
		"Restore it as a whole into another database and copy the tables from there.")
}
