package activities

import (
	"context"
	"fmt"
	"slices"

	"filippo.io/age"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// base is what a backup builds on. A full has a base too, with its recipients and no parent.
type base struct {
	recipients []age.Recipient
	parent     string // execution id, "" for a full
	manifest   *archive.Manifest
	params     archive.Params
	secret     [32]byte
	stored     *storedBase // for the engine, nil for a full
}

// chooseBase claims the parent of an incremental or differential backup, the same for every attempt,
// and opens its manifest, which is the truth about what it stored. Where there is no parent, or it can
// not be built on, the backup becomes a full and its log says why: a backup that is larger than
// expected is better than none.
func (a *Activities) chooseBase(ctx context.Context, job *backup, attempt int32) (*base, error) {
	// First of all: on a disk that is not mounted every manifest is missing.
	if err := a.bindRepository(ctx, job.storage, job.store); err != nil {
		return nil, err
	}
	b := new(base)
	var err error
	if job.options.Encrypted() {
		if b.recipients, err = a.recipients(ctx); err != nil {
			return nil, err
		}
	}
	if job.execution.BackupType == domain.Full {
		return b, nil
	}
	none, err := a.DB.ClaimParent(ctx, job.id(), attempt, job.options.FullEvery)
	if err != nil {
		return nil, err
	}
	if none != "" {
		return b, a.makeFull(ctx, job, attempt, whyNone(none, job.options), none != db.NoParentYet && none != db.NoParentFullEvery)
	}
	a.at("dump.parent_claimed")
	if err := job.reload(ctx, a.DB); err != nil {
		return nil, err
	}
	parent, err := a.DB.GetExecution(ctx, *job.execution.ParentExecutionID)
	if err != nil {
		return nil, err
	}
	unfit, err := a.openParent(ctx, job, parent, b)
	if err != nil {
		return nil, failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	if unfit != "" {
		// Attempts before this one may have begun to build on it.
		if err := a.removeStored(ctx, job, attempt); err != nil {
			return nil, err
		}
		reason := fmt.Sprintf("backup %s can not be built on: %s", parent.ID, unfit)
		return &base{recipients: b.recipients}, a.makeFull(ctx, job, attempt, reason, true)
	}
	job.parentDir = directoryOf(parent.Metadata.ManifestPath)
	a.log(ctx, job.id(), "info", "building on the %s backup %s of %s", parent.BackupType, parent.ID, parent.CreatedAt.Format("2006-01-02 15:04:05 MST"))
	return b, nil
}

// openParent reads the manifest of the parent into b, or says why nothing can be built on it.
func (a *Activities) openParent(ctx context.Context, job *backup, parent db.Execution, b *base) (unfit string, err error) {
	if parent.Metadata.ManifestPath == "" {
		return "its manifest is not recorded", nil
	}
	manifest, err := archive.OpenManifest(ctx, job.store, parent.Metadata.ManifestPath, parent.Metadata.ManifestSHA256)
	switch failure.ClassOf(err) {
	case failure.NotFound, failure.Corrupt, failure.Unsupported:
		return "its manifest can not be read: " + failure.Redact(err.Error()), nil
	}
	if err != nil {
		return "", err
	}
	wanted, found := archive.RecipientNames(b.recipients), slices.Clone(manifest.Recipients)
	slices.Sort(wanted)
	slices.Sort(found)
	switch {
	case manifest.DatasourceID != job.datasource.ID || manifest.Generation != job.execution.Generation:
		return "its manifest is that of another backup", nil
	case manifest.Compression != job.options.Compression:
		return fmt.Sprintf("its chunks are compressed with %s, this backup with %s", manifest.Compression, job.options.Compression), nil
	case !slices.Equal(wanted, found):
		return "it is encrypted for other recipients than this backup", nil
	case !manifest.Params.Current():
		return fmt.Sprintf("its chunks of %d bytes on average are not cut as this version cuts them", manifest.Params.Average), nil
	}
	var identities []age.Identity
	if manifest.Encrypted() {
		if identities, err = a.identities(ctx); err != nil {
			return "", err
		}
	}
	secret, err := manifest.Secret(identities)
	if err == nil {
		err = manifest.Unseal(identities)
	}
	switch failure.ClassOf(err) {
	case failure.AuthFailed, failure.Corrupt:
		return "its chunk secret can not be read: " + failure.Redact(err.Error()), nil
	}
	if err != nil {
		return "", err
	}
	b.parent, b.manifest, b.params, b.secret = parent.ID, manifest, manifest.Params, secret
	b.stored = &storedBase{
		job: job, key: parent.Metadata.ManifestPath, hash: parent.Metadata.ManifestSHA256, identities: identities, streams: engineStreams(manifest),
	}
	return "", nil
}

// makeFull makes a full of the backup and tells why.
func (a *Activities) makeFull(ctx context.Context, job *backup, attempt int32, reason string, warn bool) error {
	wanted := job.execution.BackupType
	if err := a.DB.MakeFull(ctx, job.id(), attempt, reason, warn); err != nil {
		return err
	}
	a.at("dump.made_full")
	level := "info"
	if warn {
		level = "warning"
	}
	a.log(ctx, job.id(), level, "a full backup is made where %s was asked for: %s", wanted, reason)
	err := job.reload(ctx, a.DB)
	job.execution.Metadata.ManifestPath = "" // of an attempt that built on another backup
	return err
}

// reload reads the execution again after it was changed.
func (b *backup) reload(ctx context.Context, d *db.DB) (err error) {
	b.execution, err = d.GetExecution(ctx, b.execution.ID)
	return err
}

// whyNone is what the catalogue knows about a missing parent, for people.
func whyNone(reason db.NoParent, o domain.BackupOptions) string {
	switch reason {
	case db.NoParentFullEvery:
		return fmt.Sprintf("%d backups have been built on the last full one (full_every)", o.FullEvery)
	case db.NoParentHere:
		return "the job's earlier backups are on another storage location, or of another datasource"
	case db.NoParentGood:
		return "none of the job's earlier backups is a good one to build on"
	case db.NoParentDamaged:
		return "a verification found damage in the backups that it would build on"
	default:
		return "the job has no completed backup to build on yet"
	}
}
