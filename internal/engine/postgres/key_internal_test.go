package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAKeyIsMadeByItsIndexWhereThatLeavesTheSame(t *testing.T) {
	const table = "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT "
	for name, c := range map[string]struct{ definition, index, constraint string }{
		"a primary key": {
			table + "t_pkey PRIMARY KEY (id);\n",
			"CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id);\n",
			table + "t_pkey PRIMARY KEY USING INDEX t_pkey;\n",
		},
		"a key of two columns with names that need quotes": {
			"ALTER TABLE ONLY \"my shop\".\"a \"\"b\"\".c\"\n    ADD CONSTRAINT \"the key\" UNIQUE (\"a, b\", größe);\n",
			"CREATE UNIQUE INDEX \"the key\" ON \"my shop\".\"a \"\"b\"\".c\" USING btree (\"a, b\", größe);\n",
			"ALTER TABLE ONLY \"my shop\".\"a \"\"b\"\".c\"\n    ADD CONSTRAINT \"the key\" UNIQUE USING INDEX \"the key\";\n",
		},
		"a key with further columns":           {definition: table + "t_pkey PRIMARY KEY (id) INCLUDE (v);\n"},
		"a key with storage parameters":        {definition: table + "t_pkey PRIMARY KEY (id) WITH (fillfactor='80');\n"},
		"a key that is checked late":           {definition: table + "t_key UNIQUE (id) DEFERRABLE INITIALLY DEFERRED;\n"},
		"a key that takes nulls as equal":      {definition: table + "t_key UNIQUE NULLS NOT DISTINCT (id);\n"},
		"an exclusion":                         {definition: table + "t_apart EXCLUDE USING gist (period WITH &&);\n"},
		"a key with another change behind it":  {definition: table + "t_pkey PRIMARY KEY (id);\n\nALTER TABLE public.t CLUSTER ON t_pkey;\n"},
		"a key on a table without its schema":  {definition: "ALTER TABLE ONLY t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n"},
		"a name that ends before it should do": {definition: table + "\"t\"\"; PRIMARY KEY (id);\n"},
	} {
		t.Run(name, func(t *testing.T) {
			index, constraint, ok := entry{kind: constraintKind, definition: c.definition, tablespace: "fast"}.byIndex()
			require.Equal(t, c.index != "", ok)
			if ok {
				require.Equal(t, entry{kind: indexKind, definition: c.index, tablespace: "fast"}, index)
				require.Equal(t, entry{kind: constraintKind, definition: c.constraint, tablespace: "fast"}, constraint)
				require.False(t, index.alone())
				require.True(t, constraint.alone())
			}
		})
	}
}
