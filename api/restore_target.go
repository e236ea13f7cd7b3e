package api

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// into is what a restore replaces, for people.
func (p restorePlan) into() string {
	switch {
	case p.options.TargetDatabase != "":
		return p.options.TargetDatabase
	case len(p.options.Databases) == 1:
		return p.options.Databases[0]
	default:
		return fmt.Sprintf("%d databases", len(p.options.Databases))
	}
}

// chooseTarget says what is restored into: a database or a path, or for a backup of a whole server the
// databases that are restored. available are those that the backup has, none for one of a single database.
func (r RestoreRequest) chooseTarget(v *domain.Invalid, available []string, target db.Datasource) (database string, databases []string) {
	database = strings.TrimSpace(r.TargetDatabase)
	checkTarget(v, database, target.Type)
	if len(available) == 0 {
		if len(r.Databases) > 0 {
			v.Add("databases", "is for backups of a whole server, and this backup has one database; leave it empty")
		}
		if database == "" {
			database = target.Config.Target(target.Type)
		}
		if database == "" && !r.VerificationMode {
			v.Add("target_database", "is required, because %s names no database of its own", target.Name)
		}
		return database, nil
	}
	databases = slices.Clone(r.Databases)
	if len(databases) == 0 {
		databases = slices.DeleteFunc(slices.Clone(available), func(name string) bool { return target.Type == domain.Postgres && name == "postgres" })
	}
	for _, name := range databases {
		if !slices.Contains(available, name) {
			v.Add("databases", "has %q, which is not in the backup; it has %s", name, strings.Join(available, ", "))
		}
	}
	switch {
	case len(databases) == 0:
		v.Add("databases", "is required: name the database that is restored, and give it a target_database")
	case len(databases) > 1 && database != "":
		v.Add("target_database", "is for one database, and %d are restored; leave it empty, and each is restored under its own name", len(databases))
	}
	if len(databases) > 1 && len(r.IncludeTables) > 0 {
		v.Add("include_tables", "is for one database, and %d are restored; name one in databases", len(databases))
	}
	slices.Sort(databases)
	return database, slices.Compact(databases)
}

func checkTarget(v *domain.Invalid, name string, t domain.DatasourceType) {
	if name == "" {
		return
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' }) {
		v.Add("target_database", "must be text without control characters")
		return
	}
	if domain.IsServer(t) {
		if len(name) > maxDatabaseName {
			v.Add("target_database", "must be at most %d bytes", maxDatabaseName)
		}
		return
	}
	if t == domain.SQLite && !strings.ContainsRune(name, '/') {
		return // a file beside the datasource's own
	}
	if !filepath.IsAbs(name) || filepath.Clean(name) == "/" {
		v.Add("target_database", "is %q; give the absolute path that is restored into", name)
	}
}
