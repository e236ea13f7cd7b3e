package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyWhatNeedsNothingButItsTableFollowsIt(t *testing.T) {
	tables := map[int]bool{4: true, 5: true}
	const index = "CREATE INDEX i ON public.t USING btree (v);\n"
	for name, c := range map[string]struct {
		e     entry
		want  int
		alone bool
	}{
		"an index":       {entry{kind: "INDEX", definition: index, dependsOn: []int{4}}, 4, false},
		"a unique index": {entry{kind: "INDEX", definition: "CREATE UNIQUE INDEX i ON public.t USING btree (v);\n", dependsOn: []int{5}}, 5, false},
		"a primary key":  {entry{kind: "CONSTRAINT", definition: "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n", dependsOn: []int{4}}, 4, true},
		"an index with a change of its table behind it": {entry{kind: "INDEX", definition: index + "\nALTER TABLE public.t CLUSTER ON i;\n", dependsOn: []int{4}}, 4, true},
		"an index of two columns":                       {entry{kind: "INDEX", definition: index, dependsOn: []int{4, 4}}, 4, false},
		"an index that uses a function":                 {entry{kind: "INDEX", definition: index, dependsOn: []int{4, 3}}, 0, false},
		"an index of what is no table of the dump":      {entry{kind: "INDEX", definition: index, dependsOn: []int{6}}, 0, false},
		"an index that says of nothing what it needs":   {entry{kind: "INDEX", definition: index}, 0, false},
		"an index whose definition is too long":         {entry{kind: "INDEX", dependsOn: []int{4}}, 0, false},
		"a foreign key":                                 {entry{kind: "FK CONSTRAINT", definition: "ALTER TABLE ONLY public.t\n    ADD …", dependsOn: []int{4}}, 0, false},
		"a constraint that is inherited":                {entry{kind: "CONSTRAINT", definition: "ALTER TABLE public.t\n    ADD CONSTRAINT n NOT NULL v NOT VALID;\n", dependsOn: []int{4}}, 0, false},
		"a trigger":                                     {entry{kind: "TRIGGER", definition: "CREATE TRIGGER …", dependsOn: []int{4}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.e.followed(tables))
			if c.want != 0 {
				require.Equal(t, c.alone, c.e.alone())
			}
		})
	}
}

func TestWhatFollowsATableIsLeftOutOfWhatComesLater(t *testing.T) {
	index := func(id, table int) entry {
		return entry{id: id, kind: "INDEX", section: 4, definition: "CREATE INDEX …", dependsOn: []int{table}}
	}
	data := func(id, table int, statement string) entry {
		return entry{id: id, kind: tableDataKind, section: 3, namespace: "s", tag: "t", copyInto: statement, dependsOn: []int{table}, hasData: true}
	}
	c := contents{tables: map[int]bool{}, mayFollow: map[int][]entry{}}
	direct, through := data(11, 1, "COPY s.t (id) FROM stdin;\n"), data(12, 2, "COPY s.root (id) FROM stdin;\n")
	for _, e := range []entry{
		{id: 1, kind: tableKind, section: 2},
		{id: 2, kind: tableKind, section: 2},
		{id: 3, kind: tableKind, section: 2},
		direct, through,
		index(21, 1), index(22, 2), index(23, 3), index(24, 1),
		{id: 25, kind: "COMMENT", section: 4, dependsOn: []int{21}},
	} {
		c.add(e)
	}
	batches := []batch{{size: 5}, {size: 4, only: direct}, {size: 3, only: through}}
	c.settle(batches)
	require.Empty(t, batches[0].followers, "several tables")
	require.Equal(t, []entry{index(21, 1), index(24, 1)}, batches[1].followers)
	require.Empty(t, batches[2].followers, "rows that go through their root may also come from others")
	require.Equal(t, "22;\n23;\n25;\n", useList(c.later))
}
