package client

import (
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// User is an account.
type User struct {
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	Owner       bool     `json:"owner"`
	Permissions []string `json:"permissions"`
}

// Session is a sign-in with its token.
type Session struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	User      User      `json:"user"`
}

// DatasourceDocument is what is written of a datasource. A nil Enabled is true.
type DatasourceDocument struct {
	Name             string                  `json:"name"`
	Type             domain.DatasourceType   `json:"type"`
	Enabled          *bool                   `json:"enabled,omitempty"`
	Tags             []string                `json:"tags,omitempty"`
	Pool             string                  `json:"pool,omitempty"`
	ConnectionConfig domain.ConnectionConfig `json:"connection_config"`
}

// Datasource is a datasource as the API shows it, secrets masked.
type Datasource struct {
	ID                string                  `json:"id"`
	Name              string                  `json:"name"`
	Type              domain.DatasourceType   `json:"type"`
	Enabled           bool                    `json:"enabled"`
	Tags              []string                `json:"tags"`
	Pool              string                  `json:"pool"`
	ConnectionConfig  domain.ConnectionConfig `json:"connection_config"`
	Status            domain.DatasourceStatus `json:"status"`
	LastHealthCheckAt *time.Time              `json:"last_health_check_at"`
	Version           int64                   `json:"version"`
	CreatedAt         time.Time               `json:"created_at"`
	UpdatedAt         time.Time               `json:"updated_at"`
}

// StorageLocationDocument is what is written of a storage location. A nil Enabled is true.
type StorageLocationDocument struct {
	Name      string                     `json:"name"`
	Type      domain.StorageLocationType `json:"type"`
	Enabled   *bool                      `json:"enabled,omitempty"`
	IsDefault bool                       `json:"is_default,omitempty"`
	Tags      []string                   `json:"tags,omitempty"`
	Pool      string                     `json:"pool,omitempty"`
	Config    domain.StorageConfig       `json:"config"`
}

// StorageLocation is a storage location as the API shows it.
type StorageLocation struct {
	ID               string                       `json:"id"`
	Name             string                       `json:"name"`
	Type             domain.StorageLocationType   `json:"type"`
	Enabled          bool                         `json:"enabled"`
	IsDefault        bool                         `json:"is_default"`
	Tags             []string                     `json:"tags"`
	Pool             string                       `json:"pool"`
	Config           domain.StorageConfig         `json:"config"`
	Status           domain.StorageLocationStatus `json:"status"`
	AvailableSpaceGB *float64                     `json:"available_space_gb"`
	Version          int64                        `json:"version"`
	CreatedAt        time.Time                    `json:"created_at"`
	UpdatedAt        time.Time                    `json:"updated_at"`
}

// BackupJobDocument is what is written of a backup job. A nil Enabled is true.
type BackupJobDocument struct {
	Name              string                  `json:"name"`
	DatasourceID      string                  `json:"datasource_id"`
	StorageLocationID string                  `json:"storage_location_id"`
	ScheduleCron      string                  `json:"schedule_cron,omitempty"`
	ScheduleTimezone  string                  `json:"schedule_timezone,omitempty"`
	OverlapPolicy     domain.OverlapPolicy    `json:"overlap_policy,omitempty"`
	Enabled           *bool                   `json:"enabled,omitempty"`
	RetentionPolicy   *domain.RetentionPolicy `json:"retention_policy,omitempty"`
	ConfirmRetention  bool                    `json:"confirm_retention,omitempty"`
	BackupOptions     domain.BackupOptions    `json:"backup_options"`
}

// BackupJob is a backup job as the API shows it.
type BackupJob struct {
	ID                string                 `json:"id"`
	Name              string                 `json:"name"`
	DatasourceID      string                 `json:"datasource_id"`
	StorageLocationID string                 `json:"storage_location_id"`
	ScheduleCron      string                 `json:"schedule_cron"`
	ScheduleTimezone  string                 `json:"schedule_timezone"`
	OverlapPolicy     domain.OverlapPolicy   `json:"overlap_policy"`
	SchedulePause     string                 `json:"schedule_pause,omitempty"`
	Enabled           bool                   `json:"enabled"`
	RetentionPolicy   domain.RetentionPolicy `json:"retention_policy"`
	BackupOptions     domain.BackupOptions   `json:"backup_options"`
	LastExecutionAt   *time.Time             `json:"last_execution_at"`

	LastRetention *domain.RetentionResult `json:"last_retention"`

	NextExecutionAt *time.Time `json:"next_execution_at"`
	Version         int64      `json:"version"`
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
}

// Execution is one backup or restore.
type Execution struct {
	ID                  string                   `json:"id"`
	JobID               *string                  `json:"job_id"`
	DatasourceID        *string                  `json:"datasource_id"`
	StorageLocationID   *string                  `json:"storage_location_id"`
	Status              domain.ExecutionStatus   `json:"status"`
	BackupType          domain.BackupType        `json:"backup_type"`
	SizeBytes           int64                    `json:"size_bytes"`
	CompressedSizeBytes int64                    `json:"compressed_size_bytes"`
	StartedAt           *time.Time               `json:"started_at"`
	FinishedAt          *time.Time               `json:"finished_at"`
	ErrorMessage        string                   `json:"error_message"`
	Pinned              bool                     `json:"pinned"`
	Generation          string                   `json:"generation"`
	ParentExecutionID   *string                  `json:"parent_execution_id"`
	Metadata            domain.ExecutionMetadata `json:"metadata"`
	CreatedAt           time.Time                `json:"created_at"`
	DeletingAt          *time.Time               `json:"deleting_at"`
	WaitingFor          string                   `json:"waiting_for,omitempty"`
}

// Chunk is one stored object that a backup refers to.
type Chunk struct {
	ID          string `json:"id"`
	Generation  string `json:"generation"`
	PlainBytes  int64  `json:"plain_bytes"`
	StoredBytes int64  `json:"stored_bytes"`
	Checksum    string `json:"checksum"`
	Uploaded    bool   `json:"uploaded"`
}

// CheckResult is the outcome of a connection test.
type CheckResult struct {
	Status        domain.HealthCheckStatus `json:"status"`
	LatencyMS     int64                    `json:"latency_ms"`
	ServerVersion string                   `json:"server_version"`
	Message       string                   `json:"message"`
	Hint          string                   `json:"hint"`
	AvailableGB   *float64                 `json:"available_space_gb"`

	HostKey            string `json:"host_key"` // what an SSH server showed, to be confirmed
	HostKeyFingerprint string `json:"host_key_fingerprint"`
}

// JobCheckResult is the outcome of testing both ends of a job.
type JobCheckResult struct {
	Status          domain.HealthCheckStatus `json:"status"`
	Datasource      CheckResult              `json:"datasource"`
	StorageLocation CheckResult              `json:"storage_location"`
}

// StoredAt says where a backup is.
type StoredAt struct {
	StorageLocationID string                       `json:"storage_location_id"`
	Name              string                       `json:"name"`
	Type              domain.StorageLocationType   `json:"type"`
	Status            domain.StorageLocationStatus `json:"status"`
	Pool              string                       `json:"pool"`
	ManifestPath      string                       `json:"manifest_path"`
	Primary           bool                         `json:"primary"`
	DamagedObjects    int64                        `json:"damaged_objects"`
}

// Backup is a completed backup that can be restored.
type Backup struct {
	ExecutionID         string               `json:"execution_id"`
	JobID               *string              `json:"job_id"`
	DatasourceID        *string              `json:"datasource_id"`
	BackupType          domain.BackupType    `json:"backup_type"`
	SizeBytes           int64                `json:"size_bytes"`
	CompressedSizeBytes int64                `json:"compressed_size_bytes"`
	FinishedAt          *time.Time           `json:"finished_at"`
	Pinned              bool                 `json:"pinned"`
	Encrypted           bool                 `json:"encrypted"`
	Verification        *domain.Verification `json:"verification"`
	StoredAt            []StoredAt           `json:"stored_at"`
}

// RestoreRequest is what a restore is asked to do. ConfirmationPhrase is ConfirmRestore of the
// target datasource's name, or ConfirmVerify in verification mode.
type RestoreRequest struct {
	StorageLocationID  string `json:"storage_location_id,omitempty"`
	TargetDatasourceID string `json:"target_datasource_id"`
	TargetDatabase     string `json:"target_database,omitempty"`
	DropExisting       bool   `json:"drop_existing,omitempty"`
	VerificationMode   bool   `json:"verification_mode,omitempty"`
	KeepDatabase       bool   `json:"keep_verification_database,omitempty"`
	ParallelJobs       int    `json:"parallel_jobs,omitempty"`
	IdleTimeoutMinutes int    `json:"idle_timeout_minutes,omitempty"`
	ConfirmationPhrase string `json:"confirmation_phrase"`

	Databases    []string `json:"databases,omitempty"`     // backups of a whole server
	IncludePaths []string `json:"include_paths,omitempty"` // files backups

	IncludeTables []string `json:"include_tables,omitempty"` // databases

	RestoreGlobals bool `json:"restore_globals,omitempty"`

	ReferencedFilesDirectory string `json:"referenced_files_directory,omitempty"`
}

// ConfirmVerify confirms a restore in verification mode.
const ConfirmVerify = "VERIFY RESTORE"

// ConfirmRestore is the phrase that confirms a restore into a datasource.
func ConfirmRestore(targetName string) string { return "RESTORE " + targetName }

// ImportCounts is what an import of a storage location found.
type ImportCounts struct {
	Found      int64    `json:"found"`
	Imported   int64    `json:"imported"`
	Known      int64    `json:"known"`
	Replicas   int64    `json:"replicas"`
	Damaged    int64    `json:"damaged"`
	Skipped    int64    `json:"skipped"`
	Messages   []string `json:"messages"`
	Incomplete int64    `json:"incomplete"`
}

// ImportState is how far an import is: running, completed or failed.
type ImportState struct {
	Status  string        `json:"status"`
	Result  *ImportCounts `json:"result"`
	Message string        `json:"message"`
}
