package domain

import (
	"path/filepath"
	"strings"
)

// MissingFilePolicy says what a referenced file that can not be backed up means for the backup.
type MissingFilePolicy string

// The policies.
const (
	MissingWarn MissingFilePolicy = "warn"
	MissingFail MissingFilePolicy = "fail"
)

// Where referenced files are.
const (
	FilesLocal = "local"
	FilesSSH   = "ssh"
)

// Bounds of referenced files: their paths are held in memory.
const (
	DefaultReferencedFiles = 100_000
	MaxReferencedFiles     = 500_000
)

// ReferencedFiles are the files that rows of the database point to, which are backed up with it.
type ReferencedFiles struct {
	Enabled           bool              `json:"enabled" required:"false"`
	DiscoveryQuery    string            `json:"discovery_query" maxLength:"100000" doc:"SQL that returns the paths; it runs in a read-only transaction after the dump"`
	PathColumn        string            `json:"path_column" maxLength:"255" doc:"The column of discovery_query with the paths, of a text type; a relative path is looked for in each of base_directories"`
	BaseDirectories   []string          `json:"base_directories" maxItems:"100" doc:"Absolute paths on the worker or, with source_type ssh, on that server; a path that leads outside, also by a symbolic link, is not read"`
	SourceType        string            `json:"source_type,omitempty" enum:"local,ssh" doc:"Where the files are: local (default) those that the worker sees, ssh those of a server that is reached by SFTP"`
	MissingFilePolicy MissingFilePolicy `json:"missing_file_policy,omitempty" enum:"warn,fail" doc:"What a file means that is not there, may not be read or lies outside; default warn"`
	MaxFiles          int               `json:"max_files,omitempty" minimum:"0" maximum:"500000" doc:"More paths than this fail the backup; 0 or left out: 100000"`

	Host       string `json:"host,omitempty" doc:"source_type ssh: host name or address of the server" maxLength:"255"`
	Port       int    `json:"port,omitempty" doc:"source_type ssh: default 22" minimum:"0" maximum:"65535"`
	Username   string `json:"username,omitempty" doc:"source_type ssh: a user who may read the files, and better nothing else" maxLength:"255"`
	Password   string `json:"password,omitempty" doc:"source_type ssh: write-only" maxLength:"1024"`
	PrivateKey string `json:"private_key,omitempty" doc:"source_type ssh: in OpenSSH or PEM format, instead of a password; write-only" maxLength:"65536"`
	Passphrase string `json:"passphrase,omitempty" doc:"source_type ssh: of private_key; write-only" maxLength:"1024"`
	HostKey    string `json:"host_key,omitempty" doc:"source_type ssh: the server's public key, as a line of known_hosts without the host (ssh-ed25519 AAAA…) or its fingerprint SHA256:…; ssh-keyscan prints it" maxLength:"16384"`
}

// Login is how the server of the files is reached, for source_type ssh.
func (r *ReferencedFiles) Login() SSHTunnel {
	return SSHTunnel{
		Host: r.Host, Port: r.Port, Username: r.Username, Password: r.Password,
		PrivateKey: r.PrivateKey, Passphrase: r.Passphrase, HostKey: r.HostKey,
	}
}

// UseLoginOf takes the login, secrets included, from the same options of the job; either may be nil.
func (r *ReferencedFiles) UseLoginOf(job *ReferencedFiles) {
	if r == nil || job == nil {
		return
	}
	r.Host, r.Port, r.Username, r.HostKey = job.Host, job.Port, job.Username, job.HostKey
	r.Password, r.PrivateKey, r.Passphrase = job.Password, job.PrivateKey, job.Passphrase
}

// Secrets gives the fields of the options that are secret, by their paths in the document. A field may be empty.
func (o *BackupOptions) Secrets() map[string]*string {
	secrets := map[string]*string{heartbeatField: &o.HeartbeatURL}
	if files := o.ReferencedFiles; files != nil {
		secrets["referenced_files.password"] = &files.Password
		secrets["referenced_files.private_key"] = &files.PrivateKey
		secrets["referenced_files.passphrase"] = &files.Passphrase
	}
	o.Hooks.addURLs(secrets)
	return secrets
}

// heartbeatField is a secret: whoever has the address can tell its service that all is well.
const heartbeatField = "heartbeat_url"

// Detached is a copy whose secrets can be changed without changing o's.
func (o BackupOptions) Detached() BackupOptions {
	if o.ReferencedFiles != nil {
		files := *o.ReferencedFiles
		o.ReferencedFiles = &files
	}
	o.Hooks = o.Hooks.clone()
	return o
}

// WithoutSecrets is a copy for where options are kept beside a job: in executions, manifests and audits. Of the address of a
// hook it keeps that there is one.
func (o BackupOptions) WithoutSecrets() BackupOptions {
	hooks := o.Hooks.clone()
	hooks.hideURLs()
	o.Hooks = nil
	o = o.Detached()
	for _, field := range o.Secrets() {
		*field = ""
	}
	o.Hooks = hooks
	return o
}

// CheckFor finds what the options ask for that a datasource of type t with connection c can not do.
func (o BackupOptions) CheckFor(t DatasourceType, c ConnectionConfig) Invalid {
	var v Invalid
	checkExtraArgs(&v, t, o.ExtraArgs)
	o.checkTables(&v, t)
	switch {
	case !o.ReferencedFiles.Active():
	case t == MongoDB || t == Files:
		v.Add("referenced_files", "need an SQL query, which a %s datasource does not answer; leave them out", t)
	case c.Databases != nil:
		v.Add("referenced_files", "need one database to query, and the datasource has all of a server; make a job with a datasource of that database")
	}
	return v
}

// checkTables finds a choice of tables that a type does not have.
func (o BackupOptions) checkTables(v *Invalid, t DatasourceType) {
	var why string
	switch t {
	case Files:
		why = "is given, and a files datasource has no tables; leave it out, and choose files by the datasource's exclude_patterns"
	case SQLServer:
		why = "is given, and native backups of SQL Server hold the whole database; leave it out"
	default:
		return
	}
	if len(o.IncludeTables) > 0 {
		v.Add("include_tables", "%s", why)
	}
	if len(o.ExcludeTables) > 0 {
		v.Add("exclude_tables", "%s", why)
	}
}

// Active reports whether there is anything to do.
func (r *ReferencedFiles) Active() bool { return r != nil && r.Enabled }

func (r *ReferencedFiles) normalize() {
	if r == nil {
		return
	}
	r.PathColumn = strings.TrimSpace(r.PathColumn)
	setDefault(&r.SourceType, FilesLocal)
	if r.SourceType == FilesSSH {
		login := r.Login()
		login.normalize()
		r.Host, r.Port, r.Username, r.HostKey = login.Host, login.Port, login.Username, login.HostKey
	}
	setDefault(&r.MissingFilePolicy, MissingWarn)
	setDefault(&r.MaxFiles, DefaultReferencedFiles)
	for i, base := range r.BaseDirectories {
		if filepath.IsAbs(base) {
			r.BaseDirectories[i] = filepath.Clean(base)
		}
	}
}

func (r *ReferencedFiles) validate() Invalid {
	var v Invalid
	if r == nil {
		return v
	}
	required(&v, "discovery_query", strings.TrimSpace(r.DiscoveryQuery))
	required(&v, "path_column", r.PathColumn)
	if len(r.BaseDirectories) == 0 {
		v.Add("base_directories", "is required: the directories that the files lie in")
	}
	for _, base := range r.BaseDirectories {
		switch {
		case !filepath.IsAbs(base) || strings.ContainsAny(base, "\x00\n"):
			v.Add("base_directories", "has %q; give absolute paths", base)
		case base == "/":
			v.Add("base_directories", "has /, which is everything; give the directories that the files lie in")
		}
	}
	switch r.SourceType {
	case FilesLocal:
		if r.Login() != (SSHTunnel{}) {
			v.Add("source_type", "is local, and the login of an SSH server is given; use ssh, or leave host and what belongs to it out")
		}
	case FilesSSH:
		v = append(v, r.Login().validate()...)
	default:
		v.Add("source_type", "is %q; use local or ssh", r.SourceType)
	}
	if !oneOf(r.MissingFilePolicy, MissingWarn, MissingFail) {
		v.Add("missing_file_policy", "is %q; use warn or fail", r.MissingFilePolicy)
	}
	checkRange(&v, "max_files", r.MaxFiles, 1, MaxReferencedFiles)
	return v
}
