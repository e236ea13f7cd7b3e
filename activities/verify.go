package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/referenced"
)

// Verify checks a stored backup. Quick looks at every object's presence and size; full reads
// everything back, checks every hash, and lets the engine read its own format.
func (a *Activities) Verify(ctx context.Context, in contract.VerifyInput) (contract.VerifyResult, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	result, err := a.verify(ctx, in)
	if failure.ClassOf(err) == failure.Corrupt {
		a.recordVerification(ctx, in, result, err)
	}
	return result, toTemporal(ctx, giveUpOnStorage(ctx, err, in.StorageAttempts))
}

func (a *Activities) verify(ctx context.Context, in contract.VerifyInput) (contract.VerifyResult, error) {
	job, err := a.loadBackup(ctx, in.BackupID)
	if err != nil {
		return contract.VerifyResult{}, err
	}
	defer job.close()
	manifest, err := a.openManifest(ctx, job)
	if err != nil {
		return contract.VerifyResult{}, err
	}
	counter := newByteCounter(domain.PhaseVerifying, manifest)
	stop := a.report(ctx, in.ExecutionID, counter.progress)
	var result contract.VerifyResult
	if in.Mode == domain.VerifyFull {
		result, err = a.verifyFull(ctx, job, manifest, counter)
	} else {
		result.Objects, result.Bytes, err = archive.CheckObjects(ctx, job.store, manifest, counter.seen)
	}
	stop()
	if err != nil {
		return result, failure.WithSubject(err, aboutStorage(job.storage.Name))
	}
	a.recordVerification(ctx, in, result, nil)
	a.at("verify.recorded")
	return result, nil
}

// longCheck is how many objects make a quick check a step of its own, with its own progress.
const longCheck = 10_000

// verifyDumped makes the quick check of a backup that was just recorded, reading its manifest back. Only what is
// found right is recorded here and makes it true: anything else is left to Verify, which tries again, records
// what is wrong and fails the backup.
func (a *Activities) verifyDumped(ctx context.Context, job *backup, committed archive.CommitResult, attempt int32) bool {
	if len(committed.Manifest.Objects) > longCheck {
		return false
	}
	manifest, err := archive.OpenManifest(ctx, job.store, job.manifestKey(attempt), committed.ManifestSHA256)
	var result contract.VerifyResult
	if err == nil {
		result.Objects, result.Bytes, err = archive.CheckObjects(ctx, job.store, manifest, nil)
	}
	if err != nil {
		a.Logger.Info("the check of a new backup is made again", "execution", job.id(), "error", failure.Redact(err.Error()))
		return false
	}
	in := contract.VerifyInput{ExecutionID: job.id(), BackupID: job.id(), Mode: domain.VerifyQuick}
	if !a.recordVerification(ctx, in, result, nil) {
		return false
	}
	a.at("dump.verified")
	return true
}

func (a *Activities) verifyFull(ctx context.Context, job *backup, manifest *archive.Manifest, counter *byteCounter) (contract.VerifyResult, error) {
	identities, err := a.identities(ctx)
	if err != nil {
		return contract.VerifyResult{}, err
	}
	reader, err := archive.NewReader(job.store, manifest, identities, archive.ReaderOptions{})
	if err != nil {
		return contract.VerifyResult{}, err
	}
	chosen, err := a.engineReading(manifest)
	if err != nil {
		return contract.VerifyResult{}, err
	}
	if err := engine.CheckStreams(chosen, engineStreams(manifest)); err != nil {
		return contract.VerifyResult{}, err
	}
	total := 0
	for _, s := range manifest.Streams {
		tables, err := inspect(ctx, chosen, reader, s, counter)
		if err != nil {
			return contract.VerifyResult{}, failure.Wrap(failure.ClassOf(err), fmt.Sprintf("read stream %q", s.Name), err, failure.HintOf(err))
		}
		total += tables
	}
	a.log(ctx, job.id(), "info", "every byte of %d streams reads back whole; they list %d tables", len(manifest.Streams), total)
	return contract.VerifyResult{Objects: int64(len(manifest.Objects)), Bytes: manifest.StoredBytes()}, nil
}

// engineStreams are the streams that the engine wrote.
func engineStreams(m *archive.Manifest) []engine.Stream {
	streams := make([]engine.Stream, 0, len(m.Streams))
	for _, s := range m.Streams {
		if s.Format != referenced.Format {
			streams = append(streams, engineStream(s))
		}
	}
	return streams
}

func inspect(ctx context.Context, e engine.Engine, reader *archive.Reader, s archive.Stream, counter *byteCounter) (int, error) {
	r, err := counter.open(ctx, reader, s.Name, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	if s.Format == referenced.Format {
		_, err := referenced.Inspect(r)
		return 0, err
	}
	return e.Inspect(ctx, engineStream(s), r)
}

func engineStream(s archive.Stream) engine.Stream {
	return engine.Stream{Name: s.Name, Format: s.Format, Properties: s.Properties, Bytes: s.Bytes}
}

func (a *Activities) openManifest(ctx context.Context, job *backup) (*archive.Manifest, error) {
	if job.execution.DeletingAt != nil {
		return nil, failure.Wrap(failure.NotFound, "open backup "+job.id(), db.ErrDeleting, "Choose another backup.")
	}
	manifest, err := archive.OpenManifest(ctx, job.store, job.execution.Metadata.ManifestPath, job.execution.Metadata.ManifestSHA256)
	return manifest, failure.WithSubject(err, aboutStorage(job.storage.Name))
}

func (a *Activities) recordVerification(ctx context.Context, in contract.VerifyInput, r contract.VerifyResult, failed error) (recorded bool) {
	v := domain.Verification{
		Mode: in.Mode, OK: failed == nil, Objects: r.Objects, Bytes: r.Bytes, VerifiedAt: time.Now().UTC(),
		Message: fmt.Sprintf("%d objects, %d bytes checked", r.Objects, r.Bytes),
	}
	if failed != nil {
		v.Message = failed.Error()
	}
	err := a.DB.SetVerification(ctx, in.BackupID, v)
	if err != nil {
		a.Logger.Warn("verification was not recorded", "execution", in.BackupID, "error", err)
	}
	if v.OK {
		a.log(ctx, in.ExecutionID, "info", "verified (%s): %s", in.Mode, v.Message)
	}
	return err == nil
}
