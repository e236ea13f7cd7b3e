package tunnel_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
	"github.com/dataguardian/dataguardian/internal/storage/storagetest/sshserver"
	"github.com/dataguardian/dataguardian/internal/tunnel"
)

var errUser = errors.New("what its user met")

// echo answers every byte and, when there are no more, "bye".
func echo(t *testing.T) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := io.Copy(conn, conn); err == nil {
					_, _ = io.WriteString(conn, "bye")
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener.Addr().(*net.TCPAddr)
}

func open(t *testing.T, bastion domain.SSHTunnel, target *net.TCPAddr) *tunnel.Tunnel {
	t.Helper()
	opened, err := tunnel.Open(t.Context(), bastion, target.IP.String(), target.Port)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	return opened
}

func dial(t *testing.T, through *tunnel.Tunnel) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", through.Address())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn.(*net.TCPConn)
}

// requireEcho sends over a connection what has to come back, and ends it.
func requireEcho(t *testing.T, conn *net.TCPConn, size int) {
	t.Helper()
	sent := make([]byte, size)
	_, err := rand.Read(sent)
	require.NoError(t, err)
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, string(sent)+"bye", string(got), "the far end was told of the end, and its answer came through")
}

// requireEnd waits until a connection ends without a byte.
func requireEnd(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	require.Zero(t, n)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.Error(t, err)
}

func TestBytesPassBothWays(t *testing.T) {
	opened := open(t, sshserver.Start(t, sshserver.Options{}).Tunnel(), echo(t))
	var together sync.WaitGroup
	for range 4 {
		conn := dial(t, opened)
		together.Go(func() { requireEcho(t, conn, 5<<20) })
	}
	together.Wait()
	require.NoError(t, opened.Err())
	require.Equal(t, errUser, opened.Explain(t.Context(), errUser), "the tunnel is not to blame")
}

func TestABastionThatLetsNobodyInIsTold(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	_, other, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	changed := sshserver.Start(t, sshserver.Options{}).Tunnel()
	changed.HostKey = server.Tunnel().HostKey
	stopped := sshserver.Start(t, sshserver.Options{})
	stopped.Stop(t)
	wrongKey := server.Tunnel()
	wrongKey.PrivateKey = sshserver.EncodeKey(t, other, "")
	password := server.Tunnel()
	password.PrivateKey, password.Password = "", "hunter2-secret"
	for name, c := range map[string]struct {
		bastion domain.SSHTunnel
		class   failure.Class
	}{
		"another key":      {wrongKey, failure.AuthFailed},
		"a wrong password": {password, failure.AuthFailed},
		"another host key": {changed, failure.ConfigInvalid},
		"nobody there":     {stopped.Tunnel(), failure.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tunnel.Open(t.Context(), c.bastion, "127.0.0.1", 1)
			require.Equal(t, c.class, failure.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, "open the ssh tunnel")
			require.ErrorContains(t, err, net.JoinHostPort(c.bastion.Host, strconv.Itoa(c.bastion.Port)))
			require.NotEmpty(t, failure.HintOf(err))
			require.NotContains(t, failure.Message(err), "secret")
			var key *sshdial.HostKeyChangedError
			require.Equal(t, name == "another host key", errors.As(err, &key))
		})
	}
}

func TestATargetThatTheBastionCanNotReachIsTold(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	closed := echo(t)
	busy := silent(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := listener.Addr().(*net.TCPAddr)
	require.NoError(t, listener.Close())
	forbidden := sshserver.Start(t, sshserver.Options{Config: []string{"AllowTcpForwarding no"}})
	for name, c := range map[string]struct {
		bastion domain.SSHTunnel
		target  *net.TCPAddr
		class   failure.Class
		says    string
	}{
		"nobody listens":             {server.Tunnel(), nobody, failure.Unreachable, "can not reach " + nobody.String() + ": Connection refused"},
		"nobody answers":             {server.Tunnel(), busy, failure.Timeout, "can not reach " + busy.String() + ": no answer in time"},
		"forwarding is not for this": {forbidden.Tunnel(), closed, failure.ConfigInvalid, "does not forward connections to " + closed.String()},
	} {
		t.Run(name, func(t *testing.T) {
			opened := open(t, c.bastion, c.target)
			opened.Patience(time.Second)
			requireEnd(t, dial(t, opened))
			err := opened.Explain(t.Context(), errUser)
			require.Equal(t, c.class, failure.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, net.JoinHostPort(c.bastion.Host, strconv.Itoa(c.bastion.Port)))
			require.ErrorIs(t, err, errUser)
			require.NotEmpty(t, failure.HintOf(err))
			storage := failure.WithSide(errUser, failure.Storage)
			require.Equal(t, storage, opened.Explain(t.Context(), storage), "the storage's errors are its own")
		})
	}
}

// silent listens where no connection is answered: the only place in its queue is taken.
func silent(t *testing.T) *net.TCPAddr {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	taken, err := net.Dial("tcp", address.String())
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	return address
}

func TestABastionThatGoesAwayBreaksConnectionsAndIsReconnected(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	opened := open(t, server.Tunnel(), echo(t))
	conn := dial(t, opened)
	_, err := conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)

	server.Stop(t)
	requireEnd(t, conn)
	err = opened.Explain(t.Context(), errUser)
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	require.ErrorContains(t, err, "the connection to the bastion host "+net.JoinHostPort(server.Host, strconv.Itoa(server.Port))+" broke")
	requireEnd(t, dial(t, opened))
	require.ErrorContains(t, opened.Err(), "nothing listens there")

	server.Run(t)
	requireEcho(t, dial(t, opened), 1000)
	require.ErrorContains(t, opened.Err(), "broke", "whoever lost a connection before may still ask why")

	server.Stop(t)
	server.NewHostKeys(t)
	server.Run(t)
	requireEnd(t, dial(t, opened))
	var changed *sshdial.HostKeyChangedError
	require.ErrorAs(t, opened.Err(), &changed, "a reconnection is no exception")
}

func TestACloseEndsEveryConnection(t *testing.T) {
	opened := open(t, sshserver.Start(t, sshserver.Options{}).Tunnel(), echo(t))
	conn := dial(t, opened)
	_, err := conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	opened.Close()
	requireEnd(t, conn)
	_, err = net.Dial("tcp", opened.Address())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestACancelledStepLeavesTheTunnelForItsCleanUp(t *testing.T) {
	server := sshserver.Start(t, sshserver.Options{})
	target := echo(t)
	ctx, cancel := context.WithCancel(t.Context())
	opened, err := tunnel.Open(ctx, server.Tunnel(), target.IP.String(), target.Port)
	require.NoError(t, err)
	defer opened.Close()
	cancel()
	requireEcho(t, dial(t, opened), 1000)
	require.Equal(t, errUser, opened.Explain(ctx, errUser))
	_, err = tunnel.Open(ctx, server.Tunnel(), target.IP.String(), target.Port)
	require.ErrorIs(t, err, context.Canceled)
}
