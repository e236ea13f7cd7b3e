package temporalserver

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPortThatIsGivenUpSoonCanBeHad(t *testing.T) {
	holder, err := net.Listen("tcp", localhost+":0")
	require.NoError(t, err)
	time.AfterFunc(100*time.Millisecond, func() { _ = holder.Close() })
	wanted := holder.Addr().(*net.TCPAddr).Port
	port, err := portOrFree(wanted)
	require.NoError(t, err)
	require.Equal(t, wanted, port)
}
