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
	BaseDirectories   []string          `json:"base_directories" maxItems:"100" doc:"Absolute paths on the worker; a path that leads outside, also by a symbolic link, is not read"`
	SourceType        string            `json:"source_type,omitempty" enum:"local" doc:"Where the files are; this version reads those that the worker sees"`
	MissingFilePolicy MissingFilePolicy `json:"missing_file_policy,omitempty" enum:"warn,fail" doc:"What a file means that is not there, may not be read or lies outside; default warn"`
	MaxFiles          int               `json:"max_files,omitempty" minimum:"0" maximum:"500000" doc:"More paths than this fail the backup; 0 or left out: 100000"`
}

// Active reports whether there is anything to do.
func (r *ReferencedFiles) Active() bool { return r != nil && r.Enabled }

func (r *ReferencedFiles) normalize() {
	if r == nil {
		return
	}
	r.PathColumn = strings.TrimSpace(r.PathColumn)
	setDefault(&r.SourceType, "local")
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
		v.Add("base_directories", "is required: the directories on the worker that the files lie in")
	}
	for _, base := range r.BaseDirectories {
		switch {
		case !filepath.IsAbs(base) || strings.ContainsAny(base, "\x00\n"):
			v.Add("base_directories", "has %q; give absolute paths on the worker", base)
		case base == "/":
			v.Add("base_directories", "has /, which is everything on the worker; give the directories that the files lie in")
		}
	}
	if r.SourceType != "local" {
		v.Add("source_type", "is %q; this version reads local files only: mount the other machine's directory on the worker", r.SourceType)
	}
	if !oneOf(r.MissingFilePolicy, MissingWarn, MissingFail) {
		v.Add("missing_file_policy", "is %q; use warn or fail", r.MissingFilePolicy)
	}
	checkRange(&v, "max_files", r.MaxFiles, 1, MaxReferencedFiles)
	return v
}
