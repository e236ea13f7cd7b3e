package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/worker"
)

func TestABackupRestoresIntoANewDatabaseRowByRow(t *testing.T) {
	s := newSetup(t, withRows(20_000))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.NotNil(t, backup.Metadata.Verification)
	require.True(t, backup.Metadata.Verification.OK)
	require.Equal(t, domain.VerifyFull, backup.Metadata.Verification.Mode)
	require.Positive(t, backup.SizeBytes)
	require.Positive(t, backup.CompressedSizeBytes)
	require.Len(t, backup.Metadata.ManifestSHA256, 64)
	require.NotNil(t, backup.Metadata.Progress)
	require.Equal(t, domain.PhaseDone, backup.Metadata.Progress.Phase)

	target := s.database + "_copy"
	restored := s.restore(t, backup, restoreTo(target))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	s.requireSame(t, s.database, target)
	requireNoLeftovers(t, restored)
}

func TestARestoreReplacesAnExistingDatabaseOnlyWhenAsked(t *testing.T) {
	s := newSetup(t, withRows(1_000))
	backup := s.backUp(t)
	target := s.database + "_busy"
	s.createDatabase(t, target)
	s.exec(t, target, "create table keep (n int); insert into keep values (42)")

	refused := s.restore(t, backup, restoreTo(target))
	require.Equal(t, domain.Failed, refused.Status)
	require.Equal(t, "ConfigInvalid", refused.Metadata.FailureClass)
	require.Contains(t, refused.ErrorMessage+refused.Metadata.Hint, "drop_existing")
	require.Equal(t, "42", s.scalar(t, target, "select n::text from keep"), "the refused restore touched the target")

	replaced := s.restore(t, backup, restoreTo(target), dropExisting())
	require.Equal(t, domain.Completed, replaced.Status, replaced.ErrorMessage)
	s.requireSame(t, s.database, target)
	requireNoLeftovers(t, replaced)
}

func TestAVerificationRestoreLeavesNoDatabaseBehind(t *testing.T) {
	s := newSetup(t, withRows(1_000))
	backup := s.backUp(t)
	verified := s.restore(t, backup, verification())
	require.Equal(t, domain.Completed, verified.Status, verified.ErrorMessage)
	require.NotNil(t, verified.Metadata.RestoreReport)
	require.Equal(t, 2, verified.Metadata.RestoreReport.Tables)
	requireNoLeftovers(t, verified)
}

func TestEveryCompressionAndNoEncryptionRestores(t *testing.T) {
	for _, compression := range []domain.Compression{domain.CompressionZstd, domain.CompressionGzip, domain.CompressionLZ4, domain.CompressionNone} {
		for _, encrypted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s encrypted %t", compression, encrypted), func(t *testing.T) {
				s := newSetup(t, withRows(500), withOptions(domain.BackupOptions{
					Compression: compression, Encryption: &encrypted, Verify: domain.VerifyFull,
				}))
				backup := s.backUp(t)
				require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
				restored := s.restore(t, backup, restoreTo(s.database+"_copy"))
				require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
				s.requireSame(t, s.database, s.database+"_copy")
			})
		}
	}
}

func TestAWrongPasswordIsToldAndNotTriedAgain(t *testing.T) {
	const wrong = "not-the-password-9731"
	s := newSetup(t, withRows(10), withPassword(wrong))
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "AuthFailed", failed.Metadata.FailureClass)
	require.Contains(t, failed.ErrorMessage, s.datasourceName)
	require.NotEmpty(t, failed.Metadata.Hint)
	require.Equal(t, int32(1), s.attempts(t, failed, "Dump"))
	s.requireNowhere(t, failed, wrong)
	s.requireNothingLeft(t, failed)

	check := s.testDatasource(t)
	require.Equal(t, domain.HealthAuthFailed, check.Status)
	require.NotEmpty(t, check.Message)
}

func TestAnUnreachableHostIsTriedAgainThenTold(t *testing.T) {
	s := newSetup(t, withRows(10), withPort(closedPort(t)))
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "Unreachable", failed.Metadata.FailureClass)
	require.Contains(t, failed.ErrorMessage, s.datasourceName)
	require.Contains(t, failed.Metadata.Hint, "Check host and port")
	require.Equal(t, tuning().Attempts, s.attempts(t, failed, "Dump"))
	s.requireNothingLeft(t, failed)
	require.Equal(t, domain.HealthUnreachable, s.testDatasource(t).Status)
}

func TestAMissingPgDumpNamesThePackageToInstall(t *testing.T) {
	s := newSetup(t, withRows(10), withPool("no-tools"))
	stop, err := shared.startWorker(worker.Options{Pools: []string{"no-tools"}, ClientToolsPath: []string{t.TempDir()}, OnlyClientToolsPath: true})
	require.NoError(t, err)
	defer stop()
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "ToolMissing", failed.Metadata.FailureClass)
	require.Contains(t, failed.ErrorMessage, "pg_dump")
	require.Contains(t, failed.Metadata.Hint, "postgresql-client")
	s.requireNothingLeft(t, failed)
}

func TestAFullStorageFailsTheBackupAndLeavesNothing(t *testing.T) {
	s := newSetup(t, withNoise(30), withQuota(0.005))
	failed := s.backUp(t)
	require.Equal(t, domain.Failed, failed.Status)
	require.Equal(t, "StorageFull", failed.Metadata.FailureClass)
	require.Contains(t, failed.ErrorMessage, s.storageName)
	s.requireNothingLeft(t, failed)
}

func TestACorruptedChunkIsFoundBeforeTheTargetIsTouched(t *testing.T) {
	s := newSetup(t, withRows(2_000))
	backup := s.backUp(t)
	target := s.database + "_safe"
	s.createDatabase(t, target)
	s.exec(t, target, "create table keep (n int); insert into keep values (42)")

	chunk := s.chunks(t)[0]
	content, err := os.ReadFile(chunk)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(chunk, content, 0o600))

	refused := s.restore(t, backup, restoreTo(target), dropExisting())
	require.Equal(t, domain.Failed, refused.Status)
	require.Equal(t, "Corrupt", refused.Metadata.FailureClass)
	require.Contains(t, refused.ErrorMessage, filepath.Base(chunk))
	require.Equal(t, []string{contract.CheckArchive.Name}, failedSteps(history(t, refused)), "another step than the check of the archive found it")
	require.Zero(t, s.attempts(t, refused, contract.StageRestore.Name), "the restore began to load")
	require.Zero(t, s.attempts(t, refused, contract.PromoteRestore.Name))
	require.Equal(t, "42", s.scalar(t, target, "select n::text from keep"))
	requireNoLeftovers(t, refused)
}

func TestAMissingManifestIsABackupThatDoesNotExist(t *testing.T) {
	s := newSetup(t, withRows(100))
	backup := s.backUp(t)
	require.NoError(t, os.Remove(filepath.Join(s.storagePath, backup.Metadata.ManifestPath)))
	refused := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Failed, refused.Status)
	require.Contains(t, refused.ErrorMessage, "manifest")
	require.False(t, shared.hasDatabase(t, s.database+"_copy"))
	requireNoLeftovers(t, refused)
	require.Zero(t, s.attempts(t, refused, contract.StageRestore.Name), "the restore began to load")
}

func TestADiskThatIsNotMountedIsNotTakenForAnEmptyOne(t *testing.T) {
	s := newSetup(t, withRows(100))
	first := s.backUp(t)
	require.Equal(t, domain.Completed, first.Status, first.ErrorMessage)
	elsewhere := s.storagePath + "-unmounted"
	require.NoError(t, os.Rename(s.storagePath, elsewhere))

	refused := s.backUp(t)
	require.Equal(t, domain.Failed, refused.Status)
	require.Equal(t, "ConfigInvalid", refused.Metadata.FailureClass)
	require.Contains(t, refused.ErrorMessage, s.storageName)
	require.Contains(t, refused.Metadata.Hint, "Mount the disk")
	require.Empty(t, s.objects(t))
	check, err := shared.owner.TestStorageLocation(t.Context(), s.storage.ID)
	require.NoError(t, err)
	require.Equal(t, domain.HealthError, check.Status)

	require.NoError(t, os.RemoveAll(s.storagePath))
	require.NoError(t, os.Rename(elsewhere, s.storagePath))
	again := s.backUp(t)
	require.Equal(t, domain.Completed, again.Status, again.ErrorMessage)
}

func TestNoSecretReachesAHistoryALogOrAnAnswer(t *testing.T) {
	const setting = "jwt-7f3a9c51"
	s := newSetup(t, withRows(100))
	s.exec(t, s.database, fmt.Sprintf("alter database %s set app.jwt_secret = '%s'", s.database, setting))
	backup := s.backUp(t)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	restored := s.restore(t, backup, restoreTo(s.database+"_copy"))
	require.Equal(t, domain.Completed, restored.Status, restored.ErrorMessage)
	require.Equal(t, setting, s.scalar(t, s.database+"_copy", "select current_setting('app.jwt_secret')"))
	for _, execution := range []client.Execution{backup, restored} {
		s.requireNowhere(t, execution, setting)
		s.requireNowhere(t, execution, s.password)
	}
	identity, _, err := shared.db.AgeIdentity(t.Context())
	require.NoError(t, err)
	s.requireNowhere(t, backup, strings.TrimPrefix(identity, "AGE-SECRET-KEY-"))
}
