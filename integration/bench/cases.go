package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/integration/bench/report"
)

// benchCase is one section of the report. Several may have the same name: they run together.
type benchCase struct {
	name string
	// optional cases run only when they are asked for.
	optional bool
	// measure fills the section, which has its limits also when it fails.
	measure func(ctx context.Context, s *suite, section *report.Section) error
}

// cases are all there are, in the order in which they run: those that change the shop come last of
// those that use it.
func cases() []benchCase {
	all := []benchCase{
		{name: "pgbench", measure: measurePgbench},
		{name: "first", measure: measureFirst},
		{name: "read", measure: measureRead},
		{name: "verify", measure: measureVerify},
		{name: "restore", measure: measureRestore},
		{name: "unchanged", measure: measureUnchanged},
		{name: "appended", measure: measureAppended},
		{name: "updated", measure: measureUpdated},
		{name: "incompressible", measure: measureIncompressible},
		{name: "mariadb", measure: mariadbUTF8.measure},
		{name: "mariadb", measure: mariadbBLOB.measure},
		{name: schedulesCase, measure: measureSchedules, optional: true},
		{name: "long", measure: measureLong, optional: true},
	}
	return append(append(all, filesCases()...), storageCases()...)
}

func (c benchCase) run(ctx context.Context, s *suite) report.Section {
	section := report.Section{Title: c.name}
	if err := c.measure(ctx, s, &section); err != nil {
		section.Failed = err.Error()
	}
	if err := s.sweep(); err != nil {
		say("%v", err)
	}
	return section
}

func names(keep func(benchCase) bool) string {
	var list []string
	for _, c := range cases() {
		if keep(c) {
			list = append(list, c.name)
		}
	}
	return strings.Join(slices.Compact(list), ",")
}

func allCases() string     { return names(func(benchCase) bool { return true }) }
func defaultCases() string { return names(func(c benchCase) bool { return !c.optional }) }

// chooseCases finds the cases of a list of names, in the order in which they run.
func chooseCases(list string) (chosen []benchCase, err error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	for _, c := range cases() {
		if wanted[c.name] {
			chosen = append(chosen, c)
		}
	}
	for name := range wanted {
		if !slices.ContainsFunc(chosen, func(c benchCase) bool { return c.name == name }) {
			return nil, fmt.Errorf("bench: there is no case %q; there are %s", name, allCases())
		}
	}
	return chosen, nil
}
