// Package demo shows the whole product on a database of its own making: back it up, verify it,
// restore it beside itself and prove, row by row, that the copy is the same. It does so as any
// other client would, over the REST API; only the sample database and the proof go past it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/demo/dbcompare"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/progress"
)

// DefaultSizeMB is the size of the sample database where Options names none.
const DefaultSizeMB = 200

// Options say where everything is. All but Out, SizeMB, Email and Password are required.
type Options struct {
	APIURL        string // base URL of the API's server, without /api
	TemporalUIURL string // base URL of the Temporal web UI, for links
	// SourceAdminURL is the URL of a superuser on the Postgres server where the sample database and
	// its restored copy are made, both named after the demo and dropped by its next run.
	SourceAdminURL string
	// DataDir is an absolute directory of the demo's own: the credentials file (0600) that lets a second
	// run sign in as the owner the first one made.
	DataDir string
	// BackupDir is the absolute directory of the backups: not within what is lost with the platform.
	BackupDir string
	// PlatformDir is the platform's data directory, for the commands that are told; "" tells none.
	PlatformDir string
	// Email and Password are an owner's who exists already; "" uses the credentials file.
	Email, Password string
	SizeMB          int       // of the sample database, 10^6 bytes; 0 is DefaultSizeMB
	Out             io.Writer // nil discards what is told
}

// ErrDifferent is what errors.Is finds when the restored database is not the same.
var ErrDifferent = errors.New("the restored database differs from the source")

// registered are the ids of what the demo made.
type registered struct{ id, datasource string }

// demo is one run.
type demo struct {
	opts        Options
	api         *client.Client
	credentials credentials
	sample      *sample
	sampleBytes int64
}

// Run runs the demo once and reports to opts.Out as it goes. It may be run again and again against
// the same installation. A backup, verification or restore that fails, and a restored database that
// is not equal to its source (ErrDifferent), are errors.
func Run(ctx context.Context, opts Options) error {
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	if opts.SizeMB == 0 {
		opts.SizeMB = DefaultSizeMB
	}
	d := &demo{opts: opts}
	if err := d.signIn(ctx); err != nil {
		return err
	}
	if err := d.makeSample(ctx); err != nil {
		return err
	}
	job, err := d.register(ctx)
	if err != nil {
		return err
	}
	backup, err := d.backUp(ctx, job)
	if err != nil {
		return err
	}
	restore, err := d.restore(ctx, job, backup)
	if err != nil {
		return err
	}
	if err := d.prove(ctx); err != nil {
		return err
	}
	d.say("")
	d.say("API reference        %s/api/docs", opts.APIURL)
	d.say("Backup in Temporal   %s", d.temporalURL(backup))
	d.say("Restore in Temporal  %s", d.temporalURL(restore))
	d.sayHowToRecover()
	return nil
}

// sayHowToRecover tells how the backup is read when the platform is gone.
func (d *demo) sayHowToRecover() {
	if d.opts.PlatformDir == "" {
		return
	}
	// An older demo kept its backups below its data directory: they would go with it.
	if below, err := filepath.Rel(d.opts.PlatformDir, d.opts.BackupDir); err == nil && filepath.IsLocal(below) {
		return
	}
	d.say("")
	d.say("The backup outlives all of this. Keep the kit, delete %s, and read it back:", d.opts.PlatformDir)
	d.say("  dataguardian recovery-kit --data-dir %s > kit.txt", d.opts.PlatformDir)
	d.say("  dataguardian recover dump latest --storage local:%s --identity kit.txt > demo.dump", d.opts.BackupDir)
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.opts.Out, format+"\n", args...) }

// signIn creates the owner, or signs in as the one that an earlier demo created.
func (d *demo) signIn(ctx context.Context) error {
	path := filepath.Join(d.opts.DataDir, "credentials.json")
	kept, created, err := loadCredentials(path)
	if err != nil {
		return err
	}
	d.credentials = kept
	email, password := kept.Email, kept.Password
	if d.opts.Email != "" {
		email, password = d.opts.Email, d.opts.Password
	}
	d.api = client.New(d.opts.APIURL)
	needed, err := d.api.SetupNeeded(ctx)
	if err != nil {
		return err
	}
	if needed {
		if _, err := d.api.Setup(ctx, email, "Owner", password); err != nil {
			return err
		}
		d.say("Created the owner %s, password %s", email, password)
		d.say("  (kept in %s for the next demo)", path)
		return nil
	}
	if _, err := d.api.Login(ctx, email, password); err != nil {
		if created && d.opts.Email == "" {
			return fmt.Errorf("demo: this installation has an owner whom the demo did not create; give the demo a data directory of its own: %w", err)
		}
		return err
	}
	d.say("Signed in as %s", email)
	return nil
}

func (d *demo) makeSample(ctx context.Context) (err error) {
	if d.sample, err = newSample(d.opts.SourceAdminURL, d.credentials.SamplePassword); err != nil {
		return err
	}
	began := time.Now()
	if d.sampleBytes, err = d.sample.create(ctx, d.opts.SizeMB); err != nil {
		return err
	}
	d.say("Made the sample database %s on %s: %s in %.1f s", sampleDatabase, d.sample, progress.Megabytes(d.sampleBytes), time.Since(began).Seconds())
	return nil
}

// register makes the datasource, the storage location and the job, and has the first two tested.
func (d *demo) register(ctx context.Context) (job registered, err error) {
	if job.datasource, err = d.ensureDatasource(ctx); err != nil {
		return job, err
	}
	storage, err := d.ensureStorage(ctx)
	if err != nil {
		return job, err
	}
	check, err := d.api.TestDatasource(ctx, job.datasource)
	if err := d.tested("datasource", check, err); err != nil {
		return job, err
	}
	check, err = d.api.TestStorageLocation(ctx, storage)
	if err := d.tested("storage location", check, err); err != nil {
		return job, err
	}
	job.id, err = d.ensureJob(ctx, job.datasource, storage)
	return job, err
}

// tested tells the outcome of a connection test; one that is not ok is an error.
func (d *demo) tested(what string, check client.CheckResult, err error) error {
	if err != nil {
		return err
	}
	if check.Status != domain.HealthOK {
		return fmt.Errorf("demo: the test of the %s says %s: %s %s", what, check.Status, check.Message, check.Hint)
	}
	version := ""
	if check.ServerVersion != "" {
		version = ", PostgreSQL " + check.ServerVersion
	}
	d.say("Tested the %s: %s in %d ms%s", what, check.Status, check.LatencyMS, version)
	return nil
}

func (d *demo) backUp(ctx context.Context, job registered) (client.Execution, error) {
	d.say("\nBackup of %s", sampleDatabase)
	queued, err := d.api.RunJob(ctx, job.id, nil)
	if err != nil {
		return client.Execution{}, err
	}
	done, err := d.follow(ctx, queued, "backup")
	if err != nil {
		return client.Execution{}, err
	}
	took := seconds(done)
	d.say("  %s backed up and verified in %.1f s (%s/s), %s stored", progress.Megabytes(done.SizeBytes), took,
		progress.Megabytes(int64(float64(done.SizeBytes)/max(took, 0.001))), progress.Megabytes(done.CompressedSizeBytes))
	check := done.Metadata.Verification
	if check == nil || !check.OK {
		return client.Execution{}, fmt.Errorf("demo: the backup %s is completed without a verification that says it is good", done.ID)
	}
	d.say("  verification (%s): %d objects, %s read back, hashed, decrypted, decompressed and listed", check.Mode, check.Objects, progress.Megabytes(check.Bytes))
	return done, nil
}

func (d *demo) restore(ctx context.Context, job registered, backup client.Execution) (client.Execution, error) {
	d.say("\nRestore into the new database %s", restoredDatabase)
	queued, err := d.api.Restore(ctx, backup.ID, client.RestoreRequest{
		TargetDatasourceID: job.datasource, TargetDatabase: restoredDatabase, ConfirmationPhrase: client.ConfirmRestore(datasourceName),
	})
	if err != nil {
		return client.Execution{}, err
	}
	done, err := d.follow(ctx, queued, "restore")
	if err != nil {
		return client.Execution{}, err
	}
	took, size := seconds(done), backup.SizeBytes
	tables := 0
	if report := done.Metadata.RestoreReport; report != nil {
		tables = report.Tables
	}
	d.say("  %d tables, %s checked and loaded in %.1f s (%s/s)", tables, progress.Megabytes(size), took, progress.Megabytes(int64(float64(size)/max(took, 0.001))))
	return done, nil
}

// seconds is how long a finished execution ran.
func seconds(e client.Execution) float64 {
	if e.StartedAt == nil || e.FinishedAt == nil {
		return 0
	}
	return e.FinishedAt.Sub(*e.StartedAt).Seconds()
}

// follow shows the progress of an execution until it ends; one that does not complete is an error.
func (d *demo) follow(ctx context.Context, e client.Execution, verb string) (client.Execution, error) {
	line := progress.New(d.opts.Out, verb)
	done, err := d.api.WaitExecution(ctx, e.ID, func(now client.Execution) {
		if now.Metadata.Progress != nil {
			line.Show(*now.Metadata.Progress)
		}
	})
	line.End()
	if err != nil {
		return client.Execution{}, err
	}
	if done.Status != domain.Completed {
		return client.Execution{}, fmt.Errorf("demo: the %s is %s: %s %s (see %s)",
			verb, done.Status, done.ErrorMessage, done.Metadata.Hint, d.temporalURL(done))
	}
	return done, nil
}

// prove compares the two databases behind the product's back.
func (d *demo) prove(ctx context.Context) error {
	source, err := d.sample.connect(ctx, sampleDatabase, false)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	restored, err := d.sample.connect(ctx, restoredDatabase, false)
	if err != nil {
		return err
	}
	defer func() { _ = restored.Close(context.WithoutCancel(ctx)) }()

	began := time.Now()
	comparison, err := dbcompare.Compare(ctx, source, restored, sampleProbes...)
	if err != nil {
		return err
	}
	d.say("\nComparison of %s and %s, row by row", sampleDatabase, restoredDatabase)
	if err := writeComparison(d.opts.Out, comparison); err != nil {
		return fmt.Errorf("demo: write the comparison: %w", err)
	}
	if !comparison.Equal() {
		return fmt.Errorf("demo: %w:\n%s", ErrDifferent, strings.Join(comparison.Differences(), "\n"))
	}
	d.say("\nEverything is equal (compared in %.1f s).", time.Since(began).Seconds())
	return nil
}

// temporalURL is the page of the execution's workflow in the Temporal web UI.
func (d *demo) temporalURL(e client.Execution) string {
	if e.Metadata.TemporalURL != "" {
		return e.Metadata.TemporalURL
	}
	return d.opts.TemporalUIURL
}
