package db

import "context"

// VersionedTable is a table whose rows have a version.
type VersionedTable string

// The tables whose rows clients delete by version.
const (
	DatasourcesTable      VersionedTable = "datasources"
	StorageLocationsTable VersionedTable = "storage_locations"
	BackupJobsTable       VersionedTable = "backup_jobs"
	SyncJobsTable         VersionedTable = "database_sync_jobs"
	DrillJobsTable        VersionedTable = "restore_drill_jobs"
	RolesTable            VersionedTable = "roles"

	NotificationChannelsTable VersionedTable = "notification_channels"
)

// HoldRow keeps a row from being changed by others until the transaction ends. A row that does not
// exist is held as well: nothing happens.
func (q *Queries) HoldRow(ctx context.Context, table VersionedTable, id string) error {
	op := "lock a row of " + string(table)
	if err := checkID(op, id); err != nil {
		return err
	}
	_, err := q.conn.Exec(ctx, "SELECT 1 FROM "+string(table)+" WHERE id = $1 FOR UPDATE", id)
	return translate(op, err)
}
