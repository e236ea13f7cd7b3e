package domain

import (
	"strconv"
	"strings"
)

// DrillOptions is the JSON document of restore_drill_jobs.drill_options: what is checked in the restored
// database, beside that it has tables.
type DrillOptions struct {
	RowCounts   *bool            `json:"row_counts,omitempty" doc:"Compare the rows of every table with what the backup recorded; on by default"`
	ForeignKeys *bool            `json:"foreign_keys,omitempty" doc:"Every foreign key must point to a row; on by default"`
	Assertions  []DrillAssertion `json:"assertions,omitempty" maxItems:"100" doc:"Your own SQL checks, run read-only"`
}

// DrillAssertion is a query with one value as its answer.
type DrillAssertion struct {
	Name   string `json:"name" maxLength:"200" doc:"For people"`
	SQL    string `json:"sql" maxLength:"16384" doc:"One SELECT that answers one row of one column. It runs in a read-only transaction: a write fails the drill"`
	Expect string `json:"expect,omitempty" maxLength:"4096" doc:"The answer as text; left out: it must be true, or a number that is not 0"`
}

// DefaultBackupAge is how old, in hours, the backup of a drill may be unless its job says otherwise.
const DefaultBackupAge = 48

// ChecksRows reports whether rows are counted: yes unless switched off.
func (o DrillOptions) ChecksRows() bool { return o.RowCounts == nil || *o.RowCounts }

// ChecksForeignKeys reports whether foreign keys are checked: yes unless switched off.
func (o DrillOptions) ChecksForeignKeys() bool { return o.ForeignKeys == nil || *o.ForeignKeys }

// Validate finds every wrong field for backups of a datasource type.
func (o DrillOptions) Validate(t DatasourceType) Invalid {
	var v Invalid
	if len(o.Assertions) > 0 && !TakesSQL(t) {
		v.Add("assertions", "is SQL, which a %s datasource does not take; leave it empty", t)
	}
	for i, a := range o.Assertions {
		field := "assertions[" + strconv.Itoa(i) + "]."
		if strings.TrimSpace(a.Name) == "" {
			v.Add(field+"name", "is required")
		}
		if strings.TrimSpace(a.SQL) == "" || strings.ContainsRune(a.SQL, 0) {
			v.Add(field+"sql", "is empty or has a NUL character")
		}
	}
	return v
}

// CheckReport is what the checks of a restored database found.
type CheckReport struct {
	Tables      int              `json:"tables"`
	Rows        int64            `json:"rows" doc:"Counted in the restored database"`
	RowCounts   string           `json:"row_counts" doc:"same; not recorded: the backup says nothing of its rows; off" enum:"same,not recorded,off"`
	ForeignKeys string           `json:"foreign_keys" doc:"valid; not checked: the type has none; off" enum:"valid,not checked,off"`
	Assertions  []AssertionFound `json:"assertions,omitempty"`
}

// AssertionFound is the answer to an assertion that holds.
type AssertionFound struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// DrillReport is what a drill found. Recovery is the time from the beginning of the restore to a database
// that is loaded and could be used.
type DrillReport struct {
	BackupAgeSeconds   int64        `json:"backup_age_seconds,omitempty" doc:"When the drill began"`
	BackupBytes        int64        `json:"backup_bytes,omitempty"`
	RecoverySeconds    float64      `json:"recovery_seconds,omitempty" doc:"From the beginning of the restore until the database was loaded: the real recovery time"`
	MeanSeconds        float64      `json:"mean_recovery_seconds,omitempty" doc:"Of the job's last 10 good drills before this one"`
	ChangePercent      float64      `json:"change_percent,omitempty" doc:"Of this one against that mean"`
	Checks             *CheckReport `json:"checks,omitempty"`
	TargetDatasourceID string       `json:"target_datasource_id,omitempty"`
}
