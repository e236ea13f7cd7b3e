package standalone

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATakenPortGivesWayUnlessItWasChosen(t *testing.T) {
	holder, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = holder.Close() }()
	taken := holder.Addr().(*net.TCPAddr).Port

	port, note, err := wish{what: "API", flag: "--listen", host: "127.0.0.1", port: taken}.find()
	require.NoError(t, err)
	require.NotEqual(t, taken, port)
	require.Contains(t, note, "is taken; the API uses")
	require.Contains(t, note, "--listen")

	_, _, err = wish{what: "API", flag: "--listen", host: "127.0.0.1", port: taken, chosen: true}.find()
	require.ErrorContains(t, err, "is taken by another process")
}

func TestAFreePortIsTakenWithoutANote(t *testing.T) {
	listener, note, err := wish{what: "API", flag: "--listen", host: "127.0.0.1", chosen: true}.listen()
	require.NoError(t, err)
	require.Empty(t, note)
	require.NoError(t, listener.Close())
}

func TestASecondProcessIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := t.TempDir() + "/data"
	unlock, err := lockDataDir(dir)
	require.NoError(t, err)
	_, err = lockDataDir(dir)
	require.ErrorContains(t, err, "in use by another dataguardian, process ")
	unlock()
	unlock, err = lockDataDir(dir)
	require.NoError(t, err)
	unlock()
}
