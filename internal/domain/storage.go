package domain

import (
	"path/filepath"
	"strings"
)

// StorageConfig is the JSON document of storage_locations.config. Only the fields of the
// location's type are set.
type StorageConfig struct {
	Path      string  `json:"path,omitempty" doc:"local: absolute directory on the pool's workers" maxLength:"4096"`
	MaxSizeGB float64 `json:"max_size_gb,omitempty" doc:"local: quota in GB (10^9 bytes) that DataGuardian enforces; 0 is none" minimum:"0"`
}

// SupportedStorage reports whether this version has a store for t.
func SupportedStorage(t StorageLocationType) bool { return t == StorageLocal }

// Normalize trims and cleans the paths.
func (c *StorageConfig) Normalize() {
	c.Path = strings.TrimSpace(c.Path)
	if c.Path != "" {
		c.Path = filepath.Clean(c.Path)
	}
}

// Validate finds every wrong field; field paths start at the document itself.
func (c StorageConfig) Validate() Invalid {
	var v Invalid
	switch {
	case c.Path == "":
		v.Add("path", "is required: the directory on the worker where backups are kept")
	case !filepath.IsAbs(c.Path):
		v.Add("path", "is %q; give an absolute path", c.Path)
	case strings.ContainsRune(c.Path, 0):
		v.Add("path", "must not contain a NUL")
	case c.Path == "/":
		v.Add("path", "must not be the root directory; give a directory of its own")
	}
	if c.MaxSizeGB < 0 {
		v.Add("max_size_gb", "is %g; give 0 for no quota or a positive number", c.MaxSizeGB)
	}
	return v
}

// MaxBytes is the quota in bytes, 0 for none.
func (c StorageConfig) MaxBytes() int64 { return int64(c.MaxSizeGB * 1e9) }
