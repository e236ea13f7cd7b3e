package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIndexesOfPartitionsArePutTogetherByOneJob(t *testing.T) {
	entries := []entry{
		{id: 1, kind: tableKind, section: sectionPreData},
		{id: 2, kind: tableKind, section: sectionPreData},
		{id: 3, kind: tableKind, section: sectionPreData},
		{id: 10, kind: indexKind, dependsOn: []int{1}},
		{id: 20, kind: constraintKind, dependsOn: []int{2, 10}},
		{id: 30, kind: constraintKind, dependsOn: []int{3, 20}},
		{id: 40, kind: indexKind, dependsOn: []int{3}},
		{id: 50, kind: attachIndexKind, dependsOn: []int{10, 20, 2, 1}},
		{id: 60, kind: attachIndexKind, dependsOn: []int{30, 20, 3, 2}},
		{id: 70, kind: "FK CONSTRAINT", dependsOn: []int{50, 60, 1}},
	}
	c := contents{all: entries, later: []int{10, 20, 30, 40, 50, 60, 70}}
	require.Equal(t, []step{
		{name: "parts", ids: []int{10, 20, 30}},
		{name: "attach", ids: []int{50, 60}, serial: true},
		{name: "later", ids: []int{40, 70}},
	}, c.steps())

	c.later = []int{20, 40, 50, 60} // the others were made behind their tables
	require.Equal(t, []step{{name: "parts", ids: []int{20}}, {name: "attach", ids: []int{50, 60}, serial: true}, {name: "later", ids: []int{40}}}, c.steps())
	c.later = []int{40, 70}
	require.Equal(t, []step{{name: "later", ids: []int{40, 70}}}, c.steps())
	c.later = nil
	require.Empty(t, c.steps())
}
