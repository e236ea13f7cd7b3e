// Package bare does what a worker does for a backup, without Temporal, catalogue, API and activities:
// the engine's dump, the archive writer, the quick check. What DataGuardian takes longer than this
// is what its machinery costs.
package bare

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/postgres"
	"github.com/dataguardian/dataguardian/internal/storage/local"
)

// Command is the first argument that makes the benchmark's own program a bare pipeline.
const Command = "bare-backup"

// Arguments are the rest of the command line; the password is in PGPASSWORD.
func Arguments(dir, binDir, host string, port int, user, database string) []string {
	return []string{Command, dir, binDir, host, strconv.Itoa(port), user, database}
}

// Main backs a database up to a directory. arguments are those of Arguments behind Command.
func Main(ctx context.Context, arguments []string) error {
	if len(arguments) != 6 {
		return errors.New("bench: " + Command + " wants directory, directory of tools, host, port, user and database")
	}
	port, err := strconv.Atoi(arguments[3])
	if err != nil {
		return fmt.Errorf("bench: port: %w", err)
	}
	source := engine.Source{Name: "bare", Type: domain.Postgres, Config: domain.ConnectionConfig{
		Host: arguments[2], Port: port, Username: arguments[4], Password: os.Getenv("PGPASSWORD"), Database: arguments[5],
	}}
	return backUp(ctx, arguments[0], postgres.New(postgres.Options{BinDirs: []string{arguments[1]}}), source)
}

func backUp(ctx context.Context, dir string, from engine.Engine, source engine.Source) error {
	store, err := local.Open(ctx, local.Options{Root: dir})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	estimate, err := from.Estimate(ctx, source)
	if err != nil {
		return err
	}
	// The keys are thrown away: nothing here is ever decrypted.
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("bench: make an age key: %w", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	execution, folder := uuid.NewString(), archive.DatasourceDir(source.Name, uuid.NewString())
	writer, err := archive.NewWriter(ctx, archive.WriterOptions{
		Store: store, DatasourceDir: folder, Generation: domain.ID8(execution), Secret: secret, Params: archive.ParamsFor(estimate.Bytes),
		Compression: domain.CompressionZstd, Recipients: []age.Recipient{identity.Recipient()},
	})
	if err != nil {
		return err
	}
	started := time.Now()
	report, err := from.Dump(ctx, source, engine.DumpOptions{}, func(ctx context.Context, s engine.Stream, r io.Reader) error {
		return writer.WriteStream(ctx, archive.StreamMeta{Name: s.Name, Format: s.Format, Properties: s.Properties}, r)
	})
	if err != nil {
		return err
	}
	committed, err := writer.Commit(ctx, archive.Header{
		ExecutionID: execution, DatasourceID: uuid.NewString(), DatasourceName: source.Name, DatasourceType: domain.Postgres,
		BackupType: domain.Full, ServerVersion: report.ServerVersion, ToolVersions: report.ToolVersions, StartedAt: started,
	}, archive.ManifestKey(folder, started, execution, 1))
	if err != nil {
		return err
	}
	_, _, err = archive.CheckObjects(ctx, store, committed.Manifest, nil)
	return err
}
