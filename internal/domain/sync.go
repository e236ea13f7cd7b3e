package domain

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SyncDirection says which side of a sync job is overwritten.
type SyncDirection string

// The directions.
const (
	SourceToTarget SyncDirection = "source_to_target"
	TargetToSource SyncDirection = "target_to_source"
)

// SyncOptions is the JSON document of database_sync_jobs.sync_options.
type SyncOptions struct {
	PostRestoreSQL []string `json:"post_restore_sql,omitempty" maxItems:"200" doc:"SQL statements, one each, that run in the new database before it takes the target's place: nobody sees the rows as they were. They run with the rights of the overwritten datasource's user"`
}

// MaxPostRestoreSQL bounds the statements together, in bytes: they travel in the row of a run.
const MaxPostRestoreSQL = 256 << 10

// Validate finds every wrong field for a datasource type.
func (o SyncOptions) Validate(t DatasourceType) Invalid {
	var v Invalid
	bytes := 0
	for i, statement := range o.PostRestoreSQL {
		bytes += len(statement)
		if strings.TrimSpace(statement) == "" || strings.ContainsRune(statement, 0) {
			v.Add("post_restore_sql["+strconv.Itoa(i)+"]", "is empty or has a NUL character")
		}
	}
	if bytes > MaxPostRestoreSQL {
		v.Add("post_restore_sql", "is %d bytes together; give at most %d", bytes, MaxPostRestoreSQL)
	}
	if len(o.PostRestoreSQL) > 0 && !TakesSQL(t) {
		v.Add("post_restore_sql", "is for databases with SQL; a %s datasource takes none", t)
	}
	return v
}

// TakesSQL reports whether datasources of type t answer SQL.
func TakesSQL(t DatasourceType) bool { return t != MongoDB && t != Files }

// SyncsDirectly reports whether a dump of type t can be restored while it is made, with nothing stored in
// between: it is one stream, read once from its beginning.
func SyncsDirectly(t DatasourceType) bool { return t == Postgres || isMySQL(t) || t == MongoDB }

// ValidateForSync finds what a sync's backup can not have: it is a full in one place, and nothing builds on it.
func (o BackupOptions) ValidateForSync() Invalid {
	v := o.Validate()
	if o.BackupType != Full {
		v.Add("backup_type", "is %q; a sync makes full backups", o.BackupType)
	}
	if len(o.StorageTargets) > 0 {
		v.Add("storage_targets", "is not for syncs, whose backup is on one storage location")
	}
	if o.Hooks != nil {
		v.Add("hooks", "is not for syncs; use sync_options.post_restore_sql")
	}
	if o.HeartbeatURL != "" {
		v.Add("heartbeat_url", "is not for syncs, which tell of their failures only")
	}
	if o.ReferencedFiles != nil {
		v.Add("referenced_files", "is not for syncs, which copy the database alone")
	}
	return v
}

// RestorableDatabases are those of a backup of a whole server that are restored unless somebody chooses: all
// but Postgres' own database postgres.
func RestorableDatabases(t DatasourceType, available []string) []string {
	return slices.DeleteFunc(slices.Clone(available), func(name string) bool { return t == Postgres && name == "postgres" })
}

// BeyondCount are those of a sync's backups, the newest first, that the policy deletes: it knows nothing but their count.
func (p RetentionPolicy) BeyondCount(newestFirst []string) []string {
	if !p.AutoDelete || p.MaxBackups == 0 || len(newestFirst) <= p.MaxBackups {
		return nil
	}
	return newestFirst[p.MaxBackups:]
}

// SyncRetention is what a sync job keeps of the backups it makes, unless it is told otherwise.
func SyncRetention() RetentionPolicy { return RetentionPolicy{MaxBackups: 1, AutoDelete: true} }

// SyncPlan is what a run of a sync job copies where.
type SyncPlan struct {
	FromDatasourceID  string         `json:"from_datasource_id"`
	IntoDatasourceID  string         `json:"into_datasource_id"`
	StorageLocationID string         `json:"storage_location_id,omitempty" doc:"Left out: the dump streams straight into the restore"`
	DropExisting      bool           `json:"drop_existing"`
	BackupOptions     *BackupOptions `json:"backup_options,omitempty"`
	SyncOptions       SyncOptions    `json:"sync_options"`
}

// Address says what a datasource is, so that two that are the same database are found by it: where the
// server is, and which database. Names of the machine itself are one name. A datasource of a whole server
// has no database.
type Address struct {
	Server   string // of files and SQLite the pool
	Database string // or path
}

// AddressOf makes the address of a datasource in a pool.
func AddressOf(t DatasourceType, c ConnectionConfig, pool string) Address {
	family := string(t)
	if isMySQL(t) {
		family = string(MySQL)
	}
	if !IsServer(t) {
		return Address{Server: family + " in pool " + pool, Database: filepath.Clean(c.Target(t))}
	}
	host, port, database := c.Host, c.Port, c.Database
	if t == MongoDB && c.URI != "" {
		if u, err := url.Parse(c.URI); err == nil {
			host, port = u.Host, 0
			if database == "" {
				database = strings.TrimPrefix(u.Path, "/")
			}
			if u.Scheme == "mongodb" && u.Port() != "" && !strings.Contains(u.Host, ",") {
				host = u.Hostname()
				port, _ = strconv.Atoi(u.Port())
			}
		}
	}
	if port == 0 {
		port = defaultPorts[t]
	}
	server := family + "://" + sameHost(host) + ":" + strconv.Itoa(port)
	if c.SSHTunnel != nil { // the host's name is what the bastion calls it
		server += " through " + sameHost(c.SSHTunnel.Host)
	}
	if t == SQLServer {
		database = strings.ToLower(database)
	}
	return Address{Server: server, Database: database}
}

// sameHost is one name for all that reach the machine itself, and for those that differ in form only.
func sameHost(host string) string {
	host = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(host)), ".")
	if staysOnMachine(host) {
		return "localhost"
	}
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return address.Unmap().WithZone("").String()
	}
	return host
}

// Overlaps reports whether writing the one would write the other: they are the same database, one is the
// whole server that has the other, or one directory is in the other.
func (a Address) Overlaps(b Address) bool {
	if a.Server != b.Server {
		return false
	}
	if a.Database == b.Database || a.Database == "" || b.Database == "" {
		return true
	}
	if strings.HasPrefix(a.Server, string(Files)+" ") {
		return strings.HasPrefix(a.Database+"/", b.Database+"/") || strings.HasPrefix(b.Database+"/", a.Database+"/")
	}
	return false
}

// SyncEdge is an enabled sync job as an arrow: what it reads, and what it overwrites.
type SyncEdge struct {
	Job        string // its name
	From, Into Address
}

// SyncLoop finds a circle of sync jobs that one more would close, and returns their names in order; nil when
// there is none. A circle copies the old over the new.
func SyncLoop(jobs []SyncEdge, added SyncEdge) []string {
	seen := make([]bool, len(jobs))
	var follow func(at Address) []string
	follow = func(at Address) []string {
		if at.Overlaps(added.From) {
			return []string{}
		}
		for i, job := range jobs {
			if seen[i] || !at.Overlaps(job.From) {
				continue
			}
			seen[i] = true
			if rest := follow(job.Into); rest != nil {
				return append([]string{job.Job}, rest...)
			}
		}
		return nil
	}
	return follow(added.Into)
}
