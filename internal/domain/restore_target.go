package domain

import (
	"path/filepath"
	"strings"
)

// Targets are the addresses of what a restore overwrites on a datasource. One into several databases has several.
func (o RestoreOptions) Targets(t DatasourceType, c ConnectionConfig, pool string) []Address {
	names := o.Databases
	if o.TargetDatabase != "" || len(names) == 0 {
		names = []string{o.TargetDatabase}
	}
	targets := make([]Address, len(names))
	for i, name := range names {
		targets[i] = AddressOf(t, c.restoredInto(t, name), pool)
	}
	return targets
}

// restoredInto is the configuration with another database or path; "" is its own.
func (c ConnectionConfig) restoredInto(t DatasourceType, name string) ConnectionConfig {
	switch {
	case name == "":
	case t == Files:
		c.SourcePath = name
	case t == SQLite && !strings.ContainsRune(name, '/'): // a file beside the datasource's own
		c.FilePath = filepath.Join(filepath.Dir(c.FilePath), name)
	case t == SQLite:
		c.FilePath = name
	default:
		c.Database, c.Databases = name, nil
	}
	return c
}
