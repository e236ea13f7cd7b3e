package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"
)

// resources is everything that has commands. A new one of the API is one entry more.
func resources() []resource {
	return slices.Concat(backupResources(), runResources(), notificationResources(), platformResources())
}

// backupResources are what is backed up, where to, when, and what came of it.
func backupResources() []resource {
	return []resource{datasourceResource(), storageResource(), jobResource(), executionResource(), backupResource()}
}

var (
	usual = []string{list, get, create, update, remove}

	nameField     = field{flag: "name", path: "name", usage: "its name"}
	enabledField  = field{flag: "enabled", path: "enabled", usage: "whether it is used", kind: boolField}
	tagsField     = field{flag: "tag", path: "tags", usage: "a tag", kind: listField}
	healthColumns = []column{
		{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "TYPE", path: "type"}, {header: "STATUS", path: "status"}, {header: "FAILURES", path: "failures"},
		{header: "CHECKED", path: "last_check.checked_at"}, {header: "MESSAGE", path: "last_check.message"},
	}
	checkColumns = []column{{header: "TIME", path: "checked_at"}, {header: "STATUS", path: "status"}, {header: "MS", path: "latency_ms"}, {header: "MESSAGE", path: "message"}}

	poolField = field{flag: "pool", path: "pool", usage: "the workers that reach it"}
)

func datasourceResource() resource {
	const path = "/api/datasources"
	return resource{
		name: "datasource", title: "datasource", aliases: []string{"datasources", "ds"}, path: path, naming: "name", verbs: usual,
		fields: []field{
			nameField,
			{flag: "type", path: "type", values: []string{"postgres", "mysql", "mariadb", "mongodb", "sqlserver", "sqlite", "files"}},
			enabledField, tagsField, poolField,
			{flag: "host", path: "connection_config.host", usage: "of the database server"},
			{flag: "port", path: "connection_config.port", usage: "of the database server", kind: intField},
			{flag: "database", path: "connection_config.database", usage: "the database to back up"},
			{flag: "username", path: "connection_config.username", usage: "to connect as"},
			{flag: "source-path", path: "connection_config.source_path", usage: "directory, for type files"},
			{flag: "file-path", path: "connection_config.file_path", usage: "database file, for type sqlite"},
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "TYPE", path: "type"}, {header: "STATUS", path: "status"},
			{header: "ENABLED", path: "enabled"}, {header: "POOL", path: "pool"}, {header: "TAGS", path: "tags"},
		},
		actions: []action{
			{name: "test", short: "Connect to it now", method: http.MethodPost, path: path + "/{id}/test", outcome: "status"},
			{name: "health", short: "List how each is", path: "/api/health/datasources", columns: healthColumns},
			{name: "checks", short: "List the health checks of one", path: "/api/health/datasources/{id}", columns: checkColumns},
			{name: "schema", short: "Show its databases, tables and columns", method: http.MethodGet, path: path + "/{id}/schema",
				filters: []field{{flag: "database", path: "database", usage: "one database of a server"}}},
			{name: "query", short: "Run a read-only statement on it", method: http.MethodPost, path: path + "/{id}/query", document: true, rows: true,
				fields: []field{{flag: "statement", path: "statement", usage: "SQL"}, {flag: "database", path: "database", usage: "one database of a server"}}},
		},
	}
}

func storageResource() resource {
	const path = "/api/storage-locations"
	dryRun := field{flag: "dry-run", path: "dry_run", usage: "only say what would be done", kind: boolField}
	return resource{
		name: "storage", title: "storage location", aliases: []string{"storages", "storage-location"}, path: path, naming: "name", verbs: usual,
		fields: []field{
			nameField,
			{flag: "type", path: "type", values: []string{"local", "s3", "ssh", "minio", "backblaze"}},
			enabledField, {flag: "default", path: "is_default", usage: "make it the default", kind: boolField}, tagsField, poolField,
			{flag: "path", path: "config.path", usage: "directory, for type local"},
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "TYPE", path: "type"}, {header: "STATUS", path: "status"},
			{header: "DEFAULT", path: "is_default"}, {header: "ENABLED", path: "enabled"}, {header: "FREE GB", path: "available_space_gb"}, {header: "POOL", path: "pool"},
		},
		actions: []action{
			{name: "test", short: "Write, read, list and delete a probe on it now", method: http.MethodPost, path: path + "/{id}/test", outcome: "status"},
			{name: "test-draft", short: "Test one that is not saved", method: http.MethodPost, path: path + "/test", document: true, outcome: "status",
				fields: []field{{flag: "type", path: "type", usage: "of the storage location, for example local"}, poolField, {flag: "stored", path: "storage_location_id", usage: "the saved one whose secrets are used", of: "storage"}}},
			{name: "health", short: "List how each is", path: "/api/health/storage", columns: healthColumns},
			{name: "checks", short: "List the health checks of one", path: "/api/health/storage/{id}", columns: checkColumns},
			{name: "usage", short: "Show what it holds and has left", method: http.MethodGet, path: path + "/{id}/usage"},
			{name: "damage", short: "List its damaged objects", path: path + "/{id}/damage",
				filters: []field{{flag: "healed", path: "healed", usage: "those that are whole again, too", kind: boolField}},
				columns: []column{{header: "OBJECT", path: "key"}, {header: "REASON", path: "reason"}, {header: "FOUND", path: "found_at"}, {header: "HEALED", path: "healed_at"}, {header: "NEEDED BY", path: "needed_by", show: counted}}},
			{name: "files", short: "List a folder", path: path + "/{id}/files", filters: []field{{flag: "path", path: "path", usage: "the folder; default the root"}},
				columns: []column{{header: "PATH", path: "path"}, {header: "TYPE", path: "type"}, {header: "SIZE", path: "size", show: sized}, {header: "CHANGED", path: "modified_at"}}},
			{name: "copy-file", short: "Copy a file within it", method: http.MethodPost, path: path + "/{id}/files/copy", document: true,
				fields: []field{{flag: "from", path: "from", usage: "the file"}, {flag: "to", path: "to", usage: "where to"}, {flag: "overwrite", path: "overwrite", usage: "replace what is there", kind: boolField}}},
			{name: "delete-files", short: "Delete a file, or a folder with all that is in it", method: http.MethodDelete, path: path + "/{id}/files", confirm: "Delete these files from storage location %s?",
				filters: []field{{flag: "path", path: "path", usage: "a folder ends in /"}}},
			{name: "import", short: "Put the backups that are on it back into the catalogue", method: http.MethodPost, path: path + "/{id}/import", fields: []field{dryRun}, fixed: map[string]any{}, document: true},
			{name: "import-state", short: "Show how the latest import went", method: http.MethodGet, path: path + "/{id}/import"},
			{name: "reconcile", short: "Compare it with the catalogue, and remove what nothing needs", method: http.MethodPost, path: path + "/{id}/reconcile", fields: []field{dryRun}, document: true},
		},
		extra: func(a *app) []*cobra.Command { return []*cobra.Command{a.downloadCommand()} },
	}
}

func jobResource() resource {
	const path = "/api/backup-jobs"
	return resource{
		name: "job", title: "backup job", aliases: []string{"jobs", "backup-job"}, path: path, naming: "name", verbs: usual,
		fields: []field{
			nameField,
			{flag: "datasource", path: "datasource_id", usage: "what is backed up, by name or id", of: "datasource"},
			{flag: "storage", path: "storage_location_id", usage: "where to, by name or id", of: "storage"},
			{flag: "cron", path: "schedule_cron", usage: "when, five fields"},
			{flag: "timezone", path: "schedule_timezone", usage: "of the schedule, an IANA name"},
			enabledField,
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "NAME", path: "name"}, {header: "DATASOURCE", path: "datasource_id", of: "datasource"},
			{header: "STORAGE", path: "storage_location_id", of: "storage"}, {header: "SCHEDULE", path: "schedule_cron"}, {header: "ENABLED", path: "enabled"},
			{header: "LAST", path: "last_execution_at"}, {header: "NEXT", path: "next_execution_at"},
		},
		actions: []action{
			{name: "test", short: "Test both its ends now", method: http.MethodPost, path: path + "/{id}/test", outcome: "status"},
			{name: "retention", short: "Show which backups would go, under the job's policy or another", method: http.MethodPost, path: path + "/{id}/retention/preview", document: true},
			{name: "run", short: "Back up now", method: http.MethodPost, path: path + "/{id}/run", document: true, wait: true,
				fields: []field{{flag: "type", path: "backup_options.backup_type", usage: "for this run", values: []string{"full", "incremental", "differential"}}}},
		},
	}
}

func executionResource() resource {
	const path = "/api/executions"
	return resource{
		name: "execution", title: "execution", aliases: []string{"executions", "exec"}, path: path, verbs: []string{list, get, remove},
		filters: []field{
			{flag: "job", path: "job", usage: "of this job", of: "job"}, {flag: "datasource", path: "datasource", usage: "of this datasource", of: "datasource"},
			{flag: "storage", path: "storage", usage: "on this storage location", of: "storage"},
			{flag: "status", path: "status", values: []string{"queued", "running", "completed", "failed", "cancelled"}},
			{flag: "operation", path: "operation", values: []string{"backup", "restore"}},
			{flag: "from", path: "from", usage: "begun then or later, RFC 3339"}, {flag: "to", path: "to", usage: "begun before then, RFC 3339"},
		},
		columns: []column{
			{header: "ID", path: "id"}, {header: "OPERATION", path: "metadata.operation"}, {header: "STATUS", path: "status"}, {header: "TYPE", path: "backup_type"},
			{header: "JOB", path: "job_id", of: "job"}, {header: "DATASOURCE", path: "datasource_id", of: "datasource"},
			{header: "SIZE", path: "size_bytes", show: sized}, {header: "STORED", path: "compressed_size_bytes", show: sized}, {header: "STARTED", path: "started_at"}, {header: "FINISHED", path: "finished_at"},
		},
		actions: []action{
			{name: "logs", short: "Show its log", path: path + "/{id}/logs", unpaged: true,
				columns: []column{{header: "TIME", path: "time"}, {header: "LEVEL", path: "level"}, {header: "MESSAGE", path: "message"}}},
			{name: "chunks", short: "List the stored objects that it refers to", path: path + "/{id}/chunks",
				columns: []column{{header: "ID", path: "id"}, {header: "GENERATION", path: "generation"}, {header: "PLAIN", path: "plain_bytes", show: sized}, {header: "STORED", path: "stored_bytes", show: sized}}},
			{name: "cancel", short: "Stop it", method: http.MethodPost, path: path + "/{id}/cancel", wait: true},
			{name: "retry", short: "Run a backup that failed again", method: http.MethodPost, path: path + "/{id}/retry", wait: true},
			{name: "retry-upload", short: "Make the copies that failed", method: http.MethodPost, path: path + "/{id}/retry-upload"},
			pinAction("pin", "Protect a backup from deletion", true), pinAction(unpin, "No longer protect a backup from deletion", false),
			{name: "verification", short: "Show what its latest verification found", method: http.MethodGet, path: path + "/{id}/verification"},
		},
		extra: func(a *app) []*cobra.Command { return []*cobra.Command{a.watchCommand(), a.verifyCommand()} },
	}
}

// unpin is the action that ends the protection of a backup.
const unpin = "unpin"

func pinAction(name, short string, pinned bool) action {
	return action{name: name, short: short, method: http.MethodPost, path: "/api/executions/{id}/pin", fixed: map[string]any{"pinned": pinned}}
}

func backupResource() resource {
	const path = "/api/backups"
	return resource{
		name: "backup", title: "backup", aliases: []string{"backups"}, path: "/api/executions", verbs: []string{remove},
		actions: []action{
			{name: list, short: "List the backups of a datasource that can be restored", path: path + "/datasources/{id}", of: "datasource", columns: []column{
				{header: "ID", path: "execution_id"}, {header: "TYPE", path: "backup_type"}, {header: "FINISHED", path: "finished_at"}, {header: "SIZE", path: "size_bytes", show: sized},
				{header: "STORED", path: "compressed_size_bytes", show: sized}, {header: "VERIFIED", path: "verification.ok"}, {header: "PINNED", path: "pinned"}, {header: "ON", path: "stored_at", show: namesIn},
			}},
			{name: get, short: "Show a backup", method: http.MethodGet, path: "/api/executions/{id}"},
			{name: "datasources", short: "List the datasources that have backups", path: path + "/datasources", columns: []column{
				{header: "ID", path: "datasource_id"}, {header: "NAME", path: "name"}, {header: "TYPE", path: "type"}, {header: "LATEST", path: "last_backup.finished_at"},
			}},
			{name: "targets", short: "List what can be restored into, with the phrase that confirms it", path: path + "/restore-targets", columns: []column{
				{header: "ID", path: "datasource_id"}, {header: "NAME", path: "name"}, {header: "TYPE", path: "type"}, {header: "DATABASE", path: "database"}, {header: "PHRASE", path: "confirmation_phrase"},
			}},
			{name: "files", short: "List a folder of a files backup", path: path + "/{id}/files", filters: []field{{flag: "path", path: "path", usage: "the folder; default the root"}, {flag: "storage", path: "storage_location_id", usage: "read the copy on this storage location", of: "storage"}},
				columns: []column{{header: "PATH", path: "path"}, {header: "TYPE", path: "type"}, {header: "SIZE", path: "size", show: sized}, {header: "CHANGED", path: "modified_at"}, {header: "MODE", path: "mode"}, {header: "TARGET", path: "target"}}},
			pinAction("pin", "Protect it from deletion", true), pinAction(unpin, "No longer protect it from deletion", false),
		},
		extra: func(a *app) []*cobra.Command {
			return []*cobra.Command{a.restoreCommand(), a.verifyCommand(), a.backupDownloadCommand()}
		},
	}
}

// counted shows how many a list has.
func counted(value any) string {
	items, _ := value.([]any)
	return fmt.Sprint(len(items))
}

// namesIn shows the names of a list of things.
func namesIn(value any) string {
	items, _ := value.([]any)
	names := make([]any, len(items))
	for i, item := range items {
		names[i] = at(item, "name")
	}
	return textOfList(names)
}

// sized shows bytes in units of 10^3.
func sized(value any) string {
	number, ok := value.(json.Number)
	if !ok {
		return "-"
	}
	bytes, err := number.Float64()
	if err != nil {
		return number.String()
	}
	for _, unit := range []string{"B", "kB", "MB", "GB", "TB"} {
		if bytes < 1000 {
			if unit == "B" {
				return fmt.Sprintf("%.0f B", bytes)
			}
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.1f PB", bytes)
}
