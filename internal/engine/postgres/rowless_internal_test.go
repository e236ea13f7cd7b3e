package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine/process"
)

func TestWhatTheToolsRepeatOfRowsIsNotTold(t *testing.T) {
	for name, c := range map[string]struct{ said, shown string }{
		"a key that is there twice": {
			"pg_restore: error: could not execute query: ERROR:  could not create unique index \"people_email_key\"\nDETAIL:  Key (email)=(alice@secret\n.example) is duplicated.\nCommand was: ALTER TABLE ONLY public.people\n    ADD CONSTRAINT people_email_key UNIQUE (email);\n",
			"pg_restore: error: could not execute query: ERROR:  could not create unique index \"people_email_key\"\nCommand was: ALTER TABLE ONLY public.people\n    ADD CONSTRAINT people_email_key UNIQUE (email);",
		},
		"a value in a COPY": {
			"pg_restore: error: COPY failed for table \"people\": ERROR:  invalid input syntax for type integer: \"secret\"\nCONTEXT:  COPY people, line 1, column id: \"secret\"\n",
			"pg_restore: error: COPY failed for table \"people\": ERROR:  invalid input syntax for type integer: …",
		},
		"a value with a line break": {
			"pg_restore: error: COPY failed for table \"people\": ERROR:  invalid input syntax for type uuid: \"sec\nret\"\nCONTEXT:  COPY people, line 1\npg_restore: warning: errors ignored on restore: 1",
			"pg_restore: error: COPY failed for table \"people\": ERROR:  invalid input syntax for type uuid: …\npg_restore: warning: errors ignored on restore: 1",
		},
		"a server that speaks German": {
			"pg_restore: error: COPY failed for table \"people\": FEHLER:  ungültige Eingabesyntax für Typ integer: »secret«\nKONTEXT:  COPY people, Zeile 1, Spalte id: »secret«\n",
			"pg_restore: error: COPY failed for table \"people\": FEHLER:  ungültige Eingabesyntax für Typ integer: …",
		},
		"a value out of range": {
			"pg_restore: error: COPY failed for table \"people\": ERROR:  value \"99999999999\" is out of range for type integer\nCONTEXT:  COPY people, line 1, column id: \"99999999999\"\npg_restore: warning: errors ignored on restore: 1",
			"pg_restore: error: COPY failed for table \"people\": ERROR:  value … is out of range for type integer\npg_restore: warning: errors ignored on restore: 1",
		},
		"a name": {
			"pg_dump: error: query failed: ERROR:  relation \"people\" does not exist",
			"pg_dump: error: query failed: ERROR:  relation \"people\" does not exist",
		},
		"a connection": {
			"pg_dump: error: connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  database \"shop\" does not exist",
			"pg_dump: error: connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  database \"shop\" does not exist",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var shown *process.ExitError
			require.ErrorAs(t, rowlessTool(&process.ExitError{Program: "pg_restore", Code: 1, Stderr: c.said}), &shown)
			require.Equal(t, c.shown, shown.Stderr)
		})
	}
}
