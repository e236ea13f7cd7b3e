package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExtraArgsAreThoseOfTheTypesTool(t *testing.T) {
	for name, c := range map[string]struct {
		kind DatasourceType
		args []string
		says string // "" is taken
	}{
		"none":                                {MongoDB, nil, ""},
		"of pg_dump":                          {Postgres, []string{"--no-comments", "--exclude-table-data=app.log*", "--extra-float-digits=-2", "--lock-wait-timeout=5s"}, ""},
		"of mariadb-dump":                     {MariaDB, []string{"--ignore-table-data=shop.log", "--skip-triggers"}, ""},
		"of mysqldump":                        {MySQL, []string{"--order-by-primary"}, ""},
		"of BACKUP DATABASE":                  {SQLServer, []string{"BUFFERCOUNT=7", "MAXTRANSFERSIZE=4194304", "BLOCKSIZE=65536"}, ""},
		"of another tool":                     {MySQL, []string{"--no-comments"}, `has "--no-comments", which a job may not give; a mysql datasource takes --order-by-primary`},
		"a type without a tool":               {Files, []string{"--no-comments"}, "can not be given to a files datasource"},
		"where the dump goes":                 {Postgres, []string{"--file=/tmp/x"}, `has "--file"`},
		"its form":                            {Postgres, []string{"--format=plain"}, `has "--format"`},
		"short for it":                        {Postgres, []string{"-Fp"}, `has "-Fp"`},
		"whom it connects to":                 {Postgres, []string{"--host=evil.example"}, `has "--host"`},
		"a program's file of options":         {MariaDB, []string{"--defaults-file=/etc/passwd"}, `has "--defaults-file"`},
		"a secret is not said again":          {MariaDB, []string{"--password=sesame"}, `has "--password", which`},
		"an abbreviation that the tool takes": {Postgres, []string{"--no-comm"}, `has "--no-comm"`},
		"the end of the options":              {Postgres, []string{"--", "other"}, `has "--"`},
		"a database":                          {Postgres, []string{"other"}, `has "other"`},
		"a value where there is none":         {Postgres, []string{"--no-comments=1"}, "takes none"},
		"no value where there is one":         {Postgres, []string{"--exclude-table-data", "log"}, "--exclude-table-data=value"},
		"a choice of schemas, without their extensions": {Postgres, []string{"--schema=app"}, `has "--schema"`},
		"a line break":        {Postgres, []string{"--exclude-table-data=a\nb"}, "value that it does not take"},
		"no number":           {SQLServer, []string{"BUFFERCOUNT=7, COPY_ONLY"}, "value that it does not take"},
		"the second is wrong": {Postgres, []string{"--no-comments", "--clean"}, `has "--clean"`},
	} {
		t.Run(name, func(t *testing.T) {
			found := BackupOptions{ExtraArgs: c.args}.CheckFor(c.kind, ConnectionConfig{})
			if c.says == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Equal(t, "extra_args", found[0].Field)
			require.Contains(t, found[0].Message, c.says)
			require.NotContains(t, found[0].Message, "sesame")
		})
	}
}
