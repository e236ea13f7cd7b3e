// Package domain holds the vocabulary of the platform: the enums of the data model and the typed
// JSON documents of its columns, with their validation. It imports the standard library only.
package domain

import "slices"

// DatasourceType is what kind of thing is backed up.
type DatasourceType string

// The datasource types.
const (
	Postgres  DatasourceType = "postgres"
	MySQL     DatasourceType = "mysql"
	MariaDB   DatasourceType = "mariadb"
	MongoDB   DatasourceType = "mongodb"
	SQLServer DatasourceType = "sqlserver"
	SQLite    DatasourceType = "sqlite"
	Files     DatasourceType = "files"
)

// DatasourceTypes lists every type of the data model, supported by this version or not.
func DatasourceTypes() []DatasourceType {
	return []DatasourceType{Postgres, MySQL, MariaDB, MongoDB, SQLServer, SQLite, Files}
}

// DatasourceStatus is the health of a datasource.
type DatasourceStatus string

// The datasource states.
const (
	DatasourceHealthy  DatasourceStatus = "healthy"
	DatasourceWarning  DatasourceStatus = "warning"
	DatasourceCritical DatasourceStatus = "critical"
	DatasourceUnknown  DatasourceStatus = "unknown"
)

// StorageLocationType is where backups are kept.
type StorageLocationType string

// The storage types.
const (
	StorageLocal     StorageLocationType = "local"
	StorageS3        StorageLocationType = "s3"
	StorageSSH       StorageLocationType = "ssh"
	StorageMinIO     StorageLocationType = "minio"
	StorageBackblaze StorageLocationType = "backblaze"
)

// StorageLocationStatus is the state of a storage location.
type StorageLocationStatus string

// The storage states.
const (
	StorageHealthy     StorageLocationStatus = "healthy"
	StorageIsFull      StorageLocationStatus = "full"
	StorageUnreachable StorageLocationStatus = "unreachable"
)

// ExecutionStatus is where an execution stands: queued, running, then one of the three ends.
type ExecutionStatus string

// The execution states.
const (
	Queued    ExecutionStatus = "queued"
	Running   ExecutionStatus = "running"
	Completed ExecutionStatus = "completed"
	Failed    ExecutionStatus = "failed"
	Cancelled ExecutionStatus = "cancelled"
)

// Finished reports whether the execution has ended, however it ended.
func (s ExecutionStatus) Finished() bool {
	return s == Completed || s == Failed || s == Cancelled
}

// BackupType is how much of the datasource a backup stores afresh.
type BackupType string

// The backup types.
const (
	Full         BackupType = "full"
	Incremental  BackupType = "incremental"
	Differential BackupType = "differential"
)

// HealthCheckStatus is the outcome of one connection test.
type HealthCheckStatus string

// The health check outcomes.
const (
	HealthOK          HealthCheckStatus = "ok"
	HealthTimeout     HealthCheckStatus = "timeout"
	HealthAuthFailed  HealthCheckStatus = "auth_failed"
	HealthUnreachable HealthCheckStatus = "unreachable"
	HealthError       HealthCheckStatus = "error"
)

// Operation tells backups and restores apart in backup_executions.
type Operation string

// The operations.
const (
	OperationBackup  Operation = "backup"
	OperationRestore Operation = "restore"
)

// Trigger says what started an execution.
type Trigger string

// The triggers.
const (
	TriggerSchedule Trigger = "schedule"
	TriggerManual   Trigger = "manual"
	TriggerSync     Trigger = "sync"
	TriggerDrill    Trigger = "drill"
	TriggerRetry    Trigger = "retry"
	TriggerImport   Trigger = "import" // found on a storage location
)

// OverlapPolicy says what becomes of a scheduled run that is due while the one before still goes on.
type OverlapPolicy string

// The overlap policies: it does not take place, or it comes next, at most one.
const (
	OverlapSkip      OverlapPolicy = "skip"
	OverlapBufferOne OverlapPolicy = "buffer_one"
)

// Compression is the algorithm of a chunk object.
type Compression string

// The compressions.
const (
	CompressionZstd Compression = "zstd"
	CompressionGzip Compression = "gzip"
	CompressionLZ4  Compression = "lz4"
	CompressionNone Compression = "none"
)

// VerifyMode is how thoroughly a backup is checked after it was written.
type VerifyMode string

// The verification modes. Quick: every object is there with the right size. Full: everything is
// read back, hashed, decrypted and decompressed, and the engine lists its own format. Chunks, of the
// scrub: as full without the engine. Bytes: as chunks for a backup whose identity is not here, every
// byte is read and hashed.
const (
	VerifyQuick  VerifyMode = "quick"
	VerifyFull   VerifyMode = "full"
	VerifyNone   VerifyMode = "none"
	VerifyChunks VerifyMode = "chunks"
	VerifyBytes  VerifyMode = "bytes"
)

// DefaultPool is the worker pool of whatever names none.
const DefaultPool = "default"

func oneOf[T ~string](value T, allowed ...T) bool { return slices.Contains(allowed, value) }
