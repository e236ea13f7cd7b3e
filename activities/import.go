package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

const (
	// maxImportMessage bounds one line of an import's result, in bytes.
	maxImportMessage = 500
	// importPulse is how often an import says that it is alive.
	importPulse = 2 * time.Second
)

// storageImport is one run over the manifests of a storage location.
type storageImport struct {
	a          *Activities
	location   db.StorageLocation
	store      storage.Store
	identities []age.Identity
	result     contract.ImportResult
	children   []child       // imported before what they build on, or without it
	earlier    importedSoFar // by tries that were lost
	pulse      *pulse[importedSoFar]
}

type child struct{ id, parent string }

// importedSoFar is what the next try of a lost one is told: to it, these are known.
type importedSoFar struct{ Imported, Replicas, Incomplete int64 }

// importOutcome is what became of one manifest.
type importOutcome int

const (
	importedBackup importOutcome = iota
	knownBackup
	replicaOfBackup
	damagedBackup
	skippedBackup
)

// ImportBackups reads every manifest on a storage location and puts the backups that the catalogue
// does not know into it, each in a transaction of its own. What is damaged is told and passed over.
// Repeated, it finds them known and changes nothing. One manifest is in memory at a time.
func (a *Activities) ImportBackups(ctx context.Context, in contract.ImportInput) (contract.ImportResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	location, store, err := a.openLocation(ctx, in.StorageLocationID)
	if err != nil {
		return contract.ImportResult{}, toTemporal(ctx, err)
	}
	defer func() { _ = store.Close() }()
	var earlier importedSoFar
	resume(ctx, &earlier)
	i := &storageImport{
		a: a, location: location, store: store, result: contract.ImportResult{DryRun: in.DryRun, Messages: []string{}},
		earlier: earlier, pulse: startPulse(ctx, importPulse, earlier),
	}
	defer i.pulse.stop()
	err = failure.WithSubject(i.run(ctx), aboutStorage(location.Name))
	i.result.Imported, i.result.Replicas = i.result.Imported+earlier.Imported, i.result.Replicas+earlier.Replicas
	i.result.Known, i.result.Incomplete = i.result.Known-earlier.Imported-earlier.Replicas, i.result.Incomplete+earlier.Incomplete
	return i.result, toTemporal(ctx, err)
}

func (i *storageImport) run(ctx context.Context) (err error) {
	names, err := archive.ListManifests(ctx, i.store)
	if err != nil {
		return err
	}
	if len(names) > 0 && !i.result.DryRun {
		if err := i.a.bindRepository(ctx, i.location, i.store); err != nil {
			return err
		}
	}
	if i.identities, err = i.a.identities(ctx); err != nil {
		return err
	}
	// What a backup builds on is older than it. Of two attempts the later one comes first.
	slices.SortFunc(names, func(a, b archive.ManifestName) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ExecutionID8, b.ExecutionID8), cmp.Compare(b.Attempt, a.Attempt))
	})
	for _, name := range names {
		if err := i.one(ctx, name); err != nil {
			return err
		}
	}
	for _, c := range i.children {
		if _, err := i.a.DB.SetImportedParent(ctx, c.id, c.parent); err != nil {
			return err
		}
	}
	if i.result.DryRun || i.result.Incomplete+i.earlier.Incomplete == 0 {
		return nil
	}
	_, err = i.a.AnnounceDamage(ctx, contract.AnnounceInput{StorageLocationID: i.location.ID})
	return err
}

// one imports the backup of one manifest. It returns only errors that end the import: those of the
// catalogue, and of a storage location that can not be read.
func (i *storageImport) one(ctx context.Context, name archive.ManifestName) error {
	i.result.Found++
	outcome, reason, err := i.read(ctx, name)
	if err != nil {
		return err
	}
	switch outcome {
	case importedBackup:
		i.result.Imported++
	case knownBackup:
		i.result.Known++
	case replicaOfBackup:
		i.result.Replicas++
	case damagedBackup:
		i.result.Damaged++
	case skippedBackup:
		i.result.Skipped++
	}
	if !i.result.DryRun {
		i.pulse.set(importedSoFar{
			i.result.Imported + i.earlier.Imported, i.result.Replicas + i.earlier.Replicas, i.result.Incomplete + i.earlier.Incomplete,
		})
	}
	if reason != "" {
		i.tell(name.Key, reason)
	}
	return nil
}

func (i *storageImport) tell(key, reason string) {
	if len(i.result.Messages) >= contract.MaxImportMessages {
		return
	}
	text := failure.Redact(reason)
	if !strings.Contains(text, key) {
		text = key + ": " + text
	}
	if len(text) > maxImportMessage {
		text = strings.ToValidUTF8(text[:maxImportMessage], "") + "…"
	}
	i.result.Messages = append(i.result.Messages, text)
}

// read opens a manifest and makes sure that it is what an installation of ours wrote: its MAC is
// checked, for which an identity has to open it. A backup that none opens is skipped, not listed:
// it could not be restored here, and what its manifest says could be anybody's word. Importing its
// identity and then the location again takes it in.
func (i *storageImport) read(ctx context.Context, name archive.ManifestName) (importOutcome, string, error) {
	m, sha256, err := archive.FindManifest(ctx, i.store, name.Key)
	if err == nil {
		err = m.Unseal(i.identities)
	}
	switch class := failure.ClassOf(err); {
	case err == nil:
	case errors.Is(err, storage.ErrNotFound):
		return skippedBackup, "it was deleted meanwhile", nil
	case class == failure.Corrupt:
		return damagedBackup, failure.Message(err), nil
	case class == failure.AuthFailed:
		return skippedBackup, fmt.Sprintf("no identity of this installation opens it (it is encrypted to %s); import the identity of the installation "+
			"that made it, then import the location again", strings.Join(m.Recipients, ", ")), nil
	case class == failure.Unsupported:
		return skippedBackup, failure.Message(err), nil
	default:
		return 0, "", err
	}
	if domain.ID8(m.ExecutionID) != name.ExecutionID8 || domain.ID8(m.DatasourceID) != name.DatasourceID8 {
		return damagedBackup, "it is the manifest of another backup, " + m.ExecutionID, nil
	}
	return i.catalogue(ctx, name, m, sha256)
}

// catalogue compares a good manifest with the catalogue, and adds it.
func (i *storageImport) catalogue(ctx context.Context, name archive.ManifestName, m *archive.Manifest, sha256 string) (importOutcome, string, error) {
	known, found, err := i.a.DB.FindExecution(ctx, m.ExecutionID)
	if err != nil {
		return 0, "", err
	}
	if found {
		return i.compare(ctx, known, name, m, sha256)
	}
	look, err := i.look(ctx, db.Copy{
		ExecutionID: m.ExecutionID, StorageLocationID: i.location.ID, IsPrimary: true, ManifestPath: name.Key, ManifestSHA256: sha256,
	}, m)
	if err != nil {
		return 0, "", err
	}
	if i.result.DryRun {
		return importedBackup, i.lacks(look), nil
	}
	linked, err := i.add(ctx, name, m, look)
	var duplicate *db.DuplicateError
	var unfit unfitError
	switch {
	case errors.As(err, &duplicate) && duplicate.Field == "generation":
		return damagedBackup, "the catalogue has another full backup of its generation " + m.Generation, nil
	case errors.As(err, &unfit):
		return skippedBackup, unfit.Error(), nil
	case errors.Is(err, storage.ErrNotFound):
		return skippedBackup, "it was deleted meanwhile", nil
	case err != nil:
		return 0, "", err
	}
	if !linked {
		i.children = append(i.children, child{m.ExecutionID, m.Parent})
	}
	i.a.at("import.backup_imported")
	return importedBackup, i.lacks(look), nil
}

// compare is for an execution that the catalogue has. It is left as it is; found on another location
// than its own, it is recorded as a copy.
func (i *storageImport) compare(ctx context.Context, known db.Execution, name archive.ManifestName, m *archive.Manifest, sha256 string) (importOutcome, string, error) {
	recorded := known.Metadata
	switch {
	case recorded.Operation != domain.OperationBackup || known.Status != domain.Completed || known.DeletingAt != nil || known.StorageLocationID == nil:
		return knownBackup, "", nil
	case *known.StorageLocationID == i.location.ID && recorded.ManifestPath != name.Key:
		return skippedBackup, "another attempt of this backup is in the catalogue: " + recorded.ManifestPath, nil
	case recorded.ManifestSHA256 != sha256:
		return damagedBackup, fmt.Sprintf("its SHA-256 is %s, recorded is %s", sha256, recorded.ManifestSHA256), nil
	case *known.StorageLocationID == i.location.ID:
		if m.Parent != "" && recorded.Trigger == domain.TriggerImport {
			i.children = append(i.children, child{m.ExecutionID, m.Parent})
		}
		return knownBackup, "", nil
	}
	replicas, err := i.a.DB.ListReplicas(ctx, known.ID)
	if err != nil {
		return 0, "", err
	}
	if slices.ContainsFunc(replicas, func(r db.Replica) bool {
		return r.StorageLocationID == i.location.ID && r.ManifestPath == name.Key && r.CopiedAt != nil
	}) {
		return knownBackup, "", nil
	}
	return i.replica(ctx, known, name, m)
}

// replica records what is on this location as a copy of a backup of another one.
func (i *storageImport) replica(ctx context.Context, known db.Execution, name archive.ManifestName, m *archive.Manifest) (importOutcome, string, error) {
	look, err := i.look(ctx, db.Copy{
		ExecutionID: known.ID, StorageLocationID: i.location.ID, ManifestPath: name.Key, ManifestSHA256: known.Metadata.ManifestSHA256,
	}, m)
	if err != nil {
		return 0, "", err
	}
	if !i.result.DryRun {
		err = i.a.DB.InTx(ctx, func(q *db.Queries) error {
			if err := q.PutReplica(ctx, db.Replica{ExecutionID: known.ID, StorageLocationID: i.location.ID, ManifestPath: name.Key}); err != nil {
				return err
			}
			return q.RecordCheck(ctx, look.check())
		})
	}
	if errors.Is(err, db.ErrNotFound) {
		return skippedBackup, "it was deleted meanwhile", nil
	}
	if err != nil {
		return 0, "", err
	}
	return replicaOfBackup, i.lacks(look), nil
}
