// Package recovery reads backups back from a storage location and an age identity alone: no
// catalogue, no Temporal, no API. What it knows comes from the manifests on the storage.
package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

// Recovery is one storage location, and what opens and loads the backups in it.
type Recovery struct {
	Store      storage.Store
	Identities []age.Identity // none for what is not encrypted
	Engines    map[domain.DatasourceType]engine.Engine
	// Say tells a person how far it is; it may be nil.
	Say func(format string, args ...any)
}

// Latest is the Ref of the newest backup.
const Latest = "latest"

// Ref names a backup.
type Ref struct {
	Backup     string // execution id, its last eight digits, or Latest
	Datasource string // name, directory, id or the id's last eight digits; "" is any
}

// Backup is a backup that was found, with its manifest.
type Backup struct {
	Name     archive.ManifestName
	Manifest *archive.Manifest
	SHA256   string // of the manifest's document, hexadecimal
}

const (
	findBackup = "find the backup"
	listHint   = "`dataguardian recover list` shows what the storage location holds."
)

// Find reads the manifest of the backup that ref names. Of two attempts of one backup it is the
// later one. Errors: NotFound; ConfigInvalid when ref fits several; Corrupt for a damaged manifest.
func (r *Recovery) Find(ctx context.Context, ref Ref) (Backup, error) {
	names, err := archive.ListManifests(ctx, r.Store)
	if err != nil {
		return Backup{}, err
	}
	if len(names) == 0 {
		return Backup{}, failure.New(failure.NotFound, findBackup, "the storage location holds no backup",
			"Give the directory, or bucket and prefix, that holds "+archive.RepositoryKey+".")
	}
	if names, err = ofDatasource(names, ref); err != nil {
		return Backup{}, err
	}
	candidates := candidatesOf(names, ref.Backup)
	if len(candidates) == 0 {
		return Backup{}, failure.New(failure.NotFound, findBackup, fmt.Sprintf("there is no backup %q", ref.Backup), listHint)
	}
	return r.newest(ctx, candidates, ref.Backup)
}

// ofDatasource keeps the names of the datasource that ref names. Without one, the newest backup of
// several datasources would be a guess.
func ofDatasource(names []archive.ManifestName, ref Ref) ([]archive.ManifestName, error) {
	wanted := names
	if ref.Datasource != "" {
		wanted = slices.DeleteFunc(slices.Clone(names), func(n archive.ManifestName) bool { return !isDatasource(n, ref.Datasource) })
	}
	ids := map[string]string{}
	for _, n := range wanted {
		ids[n.DatasourceID8] = n.DatasourceDir
	}
	switch {
	case len(ids) == 0:
		return nil, failure.New(failure.NotFound, findBackup, fmt.Sprintf("there is no backup of a datasource %q", ref.Datasource), listHint)
	case len(ids) == 1 || (ref.Datasource == "" && ref.Backup != Latest):
		// A datasource that was renamed has several directories.
		return slices.DeleteFunc(slices.Clone(names), func(n archive.ManifestName) bool { return ids[n.DatasourceID8] == "" }), nil
	}
	var dirs []string
	for _, dir := range ids {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return nil, failure.New(failure.ConfigInvalid, findBackup, "there are several datasources: "+strings.Join(dirs, ", "),
		"Name one of them with --datasource.")
}

func isDatasource(n archive.ManifestName, wanted string) bool {
	return n.DatasourceDir == wanted || n.DatasourceID8 == domain.ID8(wanted) ||
		strings.TrimSuffix(n.DatasourceDir, "-"+n.DatasourceID8) == domain.Slug(wanted)
}

// candidatesOf are the manifests that backup may mean. A name holds whole seconds only: of the
// newest there may be several.
func candidatesOf(names []archive.ManifestName, backup string) []archive.ManifestName {
	if backup != Latest {
		return slices.DeleteFunc(slices.Clone(names), func(n archive.ManifestName) bool {
			return len(backup) < 8 || n.ExecutionID8 != domain.ID8(backup)
		})
	}
	newest := names[0].Created
	for _, n := range names {
		if n.Created.After(newest) {
			newest = n.Created
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(n archive.ManifestName) bool { return !n.Created.Equal(newest) })
}

// newest opens the candidates. Damage is told, not passed over: restoring an older backup than the
// one that was asked for would look like success.
func (r *Recovery) newest(ctx context.Context, candidates []archive.ManifestName, wanted string) (Backup, error) {
	var found []Backup
	for _, name := range candidates {
		b, err := r.open(ctx, name)
		if err != nil {
			return Backup{}, err
		}
		if len(wanted) > 8 && b.Manifest.ExecutionID != wanted {
			continue
		}
		found = append(found, b)
	}
	if len(found) == 0 {
		return Backup{}, failure.New(failure.NotFound, findBackup, fmt.Sprintf("there is no backup %q", wanted), listHint)
	}
	best := slices.MaxFunc(found, func(a, b Backup) int {
		if byTime := a.Manifest.StartedAt.Compare(b.Manifest.StartedAt); byTime != 0 {
			return byTime
		}
		return a.Name.Attempt - b.Name.Attempt
	})
	for _, other := range found {
		if wanted != Latest && other.Manifest.ExecutionID != best.Manifest.ExecutionID {
			return Backup{}, failure.New(failure.ConfigInvalid, findBackup, fmt.Sprintf("%q fits %s and %s", wanted,
				best.Manifest.ExecutionID, other.Manifest.ExecutionID), "Give the whole id, or --datasource.")
		}
	}
	return best, nil
}

// open reads one manifest, and checks that it is the one its key promises.
func (r *Recovery) open(ctx context.Context, name archive.ManifestName) (Backup, error) {
	m, sha256, err := archive.FindManifest(ctx, r.Store, name.Key)
	if err != nil {
		return Backup{}, err
	}
	if domain.ID8(m.ExecutionID) != name.ExecutionID8 || domain.ID8(m.DatasourceID) != name.DatasourceID8 {
		return Backup{}, failure.New(failure.Corrupt, "open manifest "+name.Key,
			"it is the manifest of another backup: "+m.ExecutionID, "Move it back to the folder of that backup.")
	}
	return Backup{Name: name, Manifest: m, SHA256: sha256}, nil
}

func (r *Recovery) say(format string, args ...any) {
	if r.Say != nil {
		r.Say(format, args...)
	}
}
