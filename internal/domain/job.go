package domain

import "strings"

// RetentionPolicy is the JSON document of backup_jobs.retention_policy. A zero rule is off.
type RetentionPolicy struct {
	MaxBackups  int  `json:"max_backups,omitempty" doc:"Keep at most this many completed backups" minimum:"0" maximum:"100000"`
	AutoDelete  bool `json:"auto_delete" required:"false" doc:"Delete what the policy does not keep. Left out is false, which only reports it, also in a policy that is given for a new job"`
	MaxAgeDays  int  `json:"max_age_days,omitempty" doc:"Days after which a backup goes" minimum:"0" maximum:"100000"`
	KeepLast    int  `json:"keep_last,omitempty" minimum:"0" maximum:"100000"`
	KeepHourly  int  `json:"keep_hourly,omitempty" minimum:"0" maximum:"100000"`
	KeepDaily   int  `json:"keep_daily,omitempty" minimum:"0" maximum:"100000"`
	KeepWeekly  int  `json:"keep_weekly,omitempty" minimum:"0" maximum:"100000"`
	KeepMonthly int  `json:"keep_monthly,omitempty" minimum:"0" maximum:"100000"`
	KeepYearly  int  `json:"keep_yearly,omitempty" minimum:"0" maximum:"100000"`
}

// DefaultRetention is the recommended policy.
func DefaultRetention() RetentionPolicy { return RetentionPolicy{MaxBackups: 3, AutoDelete: true} }

// BackupOptions is the JSON document of backup_jobs.backup_options. A pointer tells "not given"
// from the zero value where the default is not zero.
type BackupOptions struct {
	BackupType         BackupType      `json:"backup_type,omitempty" doc:"Default full" enum:"full,incremental,differential"`
	FullEvery          int             `json:"full_every,omitempty" doc:"Incremental and differential: a full after so many; 0 or left out: 7" minimum:"0" maximum:"1000"`
	Compression        Compression     `json:"compression,omitempty" doc:"Default zstd" enum:"zstd,gzip,lz4,none"`
	CompressionLevel   int             `json:"compression_level,omitempty" doc:"0 is the algorithm's fastest useful level; zstd 1-19, gzip and lz4 1-9" minimum:"0" maximum:"19"`
	Encryption         *bool           `json:"encryption,omitempty" doc:"On by default"`
	Verify             VerifyMode      `json:"verify,omitempty" doc:"Check after the backup; default quick" enum:"quick,full,none"`
	ParallelJobs       int             `json:"parallel_jobs,omitempty" doc:"Tables dumped at the same time, and restored unless the restore says otherwise; default 1" minimum:"0" maximum:"16"`
	IncludeTables      []string        `json:"include_tables,omitempty" doc:"Databases but sqlserver: tables, views or collections, by name or pattern as the type's tool reads them (postgres: pg_dump --table; others: * and ?); one that matches nothing fails the backup; empty is every one" maxItems:"1000"`
	ExcludeTables      []string        `json:"exclude_tables,omitempty" doc:"Databases but sqlserver: tables, views or collections that are left out, in the same form" maxItems:"1000"`
	ExtraArgs          []string        `json:"extra_args,omitempty" doc:"Further arguments of the type's dump tool, each as --name or --name=value, of those that docs/operations.md lists" maxItems:"50"`
	StorageStrategy    StorageStrategy `json:"storage_strategy,omitempty" doc:"What storage_targets are for. fallback (default): they are tried in order when the job's own location fails. replicate: each gets a copy" enum:"fallback,replicate"`
	StorageTargets     []StorageTarget `json:"storage_targets,omitempty" doc:"Further storage locations; the job's own always comes first" maxItems:"8"`
	BandwidthLimitMbps float64         `json:"bandwidth_limit_mbps,omitempty" doc:"Most megabits (10^6 bits) a second that the backup sends to its storage location, and that reading it back takes; 0 or left out is no limit" minimum:"0" maximum:"100000"`
	TimeoutMinutes     int             `json:"timeout_minutes,omitempty" doc:"Longest the whole backup may take; default 1440" minimum:"0" maximum:"43200"`
	IdleTimeoutMinutes int             `json:"idle_timeout_minutes,omitempty" doc:"Longest the dump, or the load of a restore, may move no byte; default 15" minimum:"0" maximum:"1440"`
	Hooks              *Hooks          `json:"hooks,omitempty" doc:"What a run does before and after its work"`

	HeartbeatURL string `json:"heartbeat_url,omitempty" doc:"http or https; gets a GET after every completed backup of the job, so that a service such as healthchecks.io notices when none comes. Write-only: answers show ********, and writing that back keeps the stored one" maxLength:"2048"`

	ReferencedFiles *ReferencedFiles `json:"referenced_files,omitempty" doc:"Files that rows point to, backed up with the database"`
}

// MaxParallelJobs is the most jobs a dump or a restore may have.
const MaxParallelJobs = 16

// The bandwidth limits that make sense, in megabits a second: below the least, one chunk takes minutes.
const (
	MinBandwidthMbps = 0.1
	MaxBandwidthMbps = 100_000
)

// Normalize fills in the defaults.
func (o *BackupOptions) Normalize() {
	setDefault(&o.BackupType, Full)
	setDefault(&o.FullEvery, 7)
	setDefault(&o.Compression, CompressionZstd)
	setDefault(&o.Verify, VerifyQuick)
	setDefault(&o.StorageStrategy, StrategyFallback)
	for i := range o.StorageTargets {
		o.StorageTargets[i].StorageLocationID = strings.ToLower(o.StorageTargets[i].StorageLocationID)
	}
	setDefault(&o.ParallelJobs, 1)
	setDefault(&o.TimeoutMinutes, 24*60)
	setDefault(&o.IdleTimeoutMinutes, 15)
	o.ReferencedFiles.normalize()
	if o.Encryption == nil {
		on := true
		o.Encryption = &on
	}
}

// Encrypted reports whether objects are encrypted: yes unless switched off.
func (o BackupOptions) Encrypted() bool { return o.Encryption == nil || *o.Encryption }

// Validate finds every wrong field, and every one that this version does not act on yet: an
// option that is accepted is an option that works.
func (o BackupOptions) Validate() Invalid {
	var v Invalid
	if !oneOf(o.BackupType, Full, Incremental, Differential) {
		v.Add("backup_type", "is %q; use full, incremental or differential", o.BackupType)
	}
	checkRange(&v, "full_every", o.FullEvery, 1, 1000)
	o.checkTargets(&v)
	checkRange(&v, "parallel_jobs", o.ParallelJobs, 1, MaxParallelJobs)
	if !oneOf(o.Verify, VerifyQuick, VerifyFull, VerifyNone) {
		v.Add("verify", "is %q; use quick, full or none", o.Verify)
	}
	if highest, known := highestLevel[o.Compression]; !known {
		v.Add("compression", "is %q; use zstd, gzip, lz4 or none", o.Compression)
	} else if o.CompressionLevel < 0 || o.CompressionLevel > highest {
		v.Add("compression_level", "is %d; %s takes 0 to %d", o.CompressionLevel, o.Compression, highest)
	}
	if l := o.BandwidthLimitMbps; l != 0 && !(l >= MinBandwidthMbps && l <= MaxBandwidthMbps) { // NaN is neither
		v.Add("bandwidth_limit_mbps", "is %g; give 0 for no limit, or %g to %d megabits a second", l, MinBandwidthMbps, MaxBandwidthMbps)
	}
	checkRange(&v, "timeout_minutes", o.TimeoutMinutes, 1, 43200)
	v = append(v, o.Hooks.validate().Under("hooks")...)
	if o.HeartbeatURL != "" && !IsHTTPURL(o.HeartbeatURL) {
		v.Add("heartbeat_url", "is not an http or https URL with a host and without a user")
	}
	v = append(v, o.ReferencedFiles.validate().Under("referenced_files")...)
	checkRange(&v, "idle_timeout_minutes", o.IdleTimeoutMinutes, 1, 1440)
	for field, patterns := range map[string][]string{"include_tables": o.IncludeTables, "exclude_tables": o.ExcludeTables} {
		for _, p := range patterns {
			if strings.TrimSpace(p) == "" || strings.ContainsAny(p, "\x00\n") {
				v.Add(field, "has an empty pattern or one with a line break")
				break
			}
		}
	}
	return v
}

var highestLevel = map[Compression]int{CompressionZstd: 19, CompressionGzip: 9, CompressionLZ4: 9, CompressionNone: 0}

// Validate finds every rule that is out of range.
func (p RetentionPolicy) Validate() Invalid {
	var v Invalid
	for _, rule := range []struct {
		name  string
		value int
	}{
		{"max_backups", p.MaxBackups}, {"max_age_days", p.MaxAgeDays}, {"keep_last", p.KeepLast},
		{"keep_hourly", p.KeepHourly}, {"keep_daily", p.KeepDaily}, {"keep_weekly", p.KeepWeekly},
		{"keep_monthly", p.KeepMonthly}, {"keep_yearly", p.KeepYearly},
	} {
		checkRange(&v, rule.name, rule.value, 0, 100_000)
	}
	return v
}

func checkRange(v *Invalid, field string, value, low, high int) {
	if value < low || value > high {
		v.Add(field, "is %d; give %d to %d", value, low, high)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
