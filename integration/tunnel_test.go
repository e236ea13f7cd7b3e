package integration

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
)

// far is a setup whose database is reached through a bastion host, which it has for itself.
func far(t *testing.T, options ...option) (*setup, *sshserver.Server) {
	t.Helper()
	bastion := sshserver.Start(t, sshserver.Options{})
	return newSetup(t, append(options, withTunnel(bastion.Tunnel()))...), bastion
}

// secretLine is a line of a private key that no other key has.
func secretLine(key string) string { return strings.Split(key, "\n")[4] }

func TestADatabaseBehindABastionIsBackedUpAndRestored(t *testing.T) {
	s, bastion := far(t, withRows(500), withOptions(domain.BackupOptions{
		BackupType: domain.Incremental, Verify: domain.VerifyFull, ParallelJobs: 2,
		Hooks: &domain.Hooks{Before: []domain.Hook{{SQL: "create table if not exists made_by_hook as select 1 as n", FailRun: true}}},
	}))
	result := s.testDatasource(t)
	require.Equal(t, domain.HealthOK, result.Status, result.Message)
	before := bastion.Logins()
	first := s.backUp(t)
	require.Equal(t, domain.Completed, first.Status, first.ErrorMessage)
	require.Equal(t, before+2, bastion.Logins(), "the hook and all of the dump went through the bastion host, each over one connection to it")
	require.Equal(t, "1", s.scalar(t, s.database, "select n::text from made_by_hook"))
	s.requireRestores(t, first, s.database, "_copy")
	require.Equal(t, before+5, bastion.Logins(), "so did each step of the restore on its target")

	s.exec(t, s.database, "update orders set total = 0 where id % 3 = 0")
	second := s.backUp(t)
	require.Equal(t, domain.Completed, second.Status, second.ErrorMessage)
	require.Equal(t, domain.Incremental, second.BackupType)
	proven := s.restore(t, second, verification())
	require.Equal(t, domain.Completed, proven.Status, proven.ErrorMessage)
	s.requireNowhere(t, second, secretLine(bastion.PrivateKey))
}

func TestADumpWhoseBastionGoesDownFailsAndIsTriedAgain(t *testing.T) {
	s, bastion := far(t, withNoise(60), withRows(100))
	running := s.start(t)
	dump := freezeDump(t, s.database, func() bool { return s.chunkRows(t, running) > 0 })
	bastion.Stop(t)
	require.NoError(t, syscall.Kill(dump, syscall.SIGCONT))
	require.Eventually(t, func() bool { return !alive(dump) }, time.Minute, 20*time.Millisecond, "it can not have come to its end")
	bastion.Run(t)
	backup := wait(t, running)
	require.Equal(t, domain.Completed, backup.Status, backup.ErrorMessage)
	require.Greater(t, s.attempts(t, backup, "Dump"), int32(1))
	s.requireRestores(t, backup, s.database, "_copy")
}

func TestABastionThatDoesNotHelpIsTold(t *testing.T) {
	bastion := sshserver.Start(t, sshserver.Options{})
	_, other, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	wrongKey, changed := bastion.Tunnel(), sshserver.Start(t, sshserver.Options{}).Tunnel()
	wrongKey.PrivateKey, changed.HostKey = sshserver.EncodeKey(t, other, ""), bastion.Tunnel().HostKey
	forbidden := sshserver.Start(t, sshserver.Options{Config: []string{"AllowTcpForwarding no"}}).Tunnel()
	for name, c := range map[string]struct {
		bastion domain.SSHTunnel
		options []option
		status  domain.HealthCheckStatus
		class   failure.Class
		says    string
	}{
		"the key is wrong":             {wrongKey, nil, domain.HealthAuthFailed, failure.AuthFailed, "refuses user"},
		"the host key has changed":     {changed, nil, domain.HealthError, failure.ConfigInvalid, "has changed"},
		"it forwards nothing":          {forbidden, nil, domain.HealthError, failure.ConfigInvalid, "does not forward connections to 127.0.0.1:"},
		"the database is not there":    {bastion.Tunnel(), []option{withPort(closedPort(t))}, domain.HealthUnreachable, failure.Unreachable, "Connection refused"},
		"the database refuses the key": {bastion.Tunnel(), []option{withPassword("not-the-password")}, domain.HealthAuthFailed, failure.AuthFailed, "password authentication failed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, append(c.options, withTunnel(c.bastion))...)
			result := s.testDatasource(t)
			require.Equal(t, c.status, result.Status, result.Message)
			backup := s.backUp(t)
			require.Equal(t, domain.Failed, backup.Status)
			require.Equal(t, string(c.class), backup.Metadata.FailureClass)
			for _, message := range []string{result.Message, backup.ErrorMessage} {
				require.Contains(t, message, c.says)
				require.Contains(t, message, s.datasourceName)
				require.NotContains(t, message, secretLine(c.bastion.PrivateKey))
			}
			require.Empty(t, s.chunks(t))
		})
	}
}
