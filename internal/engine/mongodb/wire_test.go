package mongodb_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// serverOfVersions answers every greeting with the wire versions that it speaks.
func serverOfVersions(t *testing.T, lowest, highest int) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	greeting, err := bson.Marshal(bson.D{
		{Key: "ok", Value: 1}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true}, {Key: "minWireVersion", Value: lowest},
		{Key: "maxWireVersion", Value: highest}, {Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48 << 20}, {Key: "maxWriteBatchSize", Value: 1000},
	})
	require.NoError(t, err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go greet(conn, greeting)
		}
	}()
	return listener.Addr().(*net.TCPAddr)
}

// greet answers requests of the old protocol, in which drivers greet, until the other side has enough.
func greet(conn net.Conn, document []byte) {
	defer conn.Close()
	const headerBytes, opReply = 16, 1
	for {
		header := make([]byte, headerBytes)
		if _, err := io.ReadFull(conn, header); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.LittleEndian.Uint32(header))-headerBytes); err != nil {
			return
		}
		answer := binary.LittleEndian.AppendUint32(nil, uint32(headerBytes+20+len(document))) //nolint:gosec // short
		answer = append(answer, 1, 0, 0, 0)
		answer = append(answer, header[4:8]...) // what it answers
		answer = append(answer, opReply, 0, 0, 0)
		answer = append(answer, make([]byte, 16)...) // flags, cursor, from
		answer = append(answer, 1, 0, 0, 0)          // documents
		if _, err := conn.Write(append(answer, document...)); err != nil {
			return
		}
	}
}

func TestAServerThatSpeaksNoCommonVersionIsUnsupported(t *testing.T) {
	for name, versions := range map[string][2]int{"too new": {90, 99}, "too old": {0, 3}} {
		t.Run(name, func(t *testing.T) {
			address := serverOfVersions(t, versions[0], versions[1])
			src := engine.Source{Type: domain.MongoDB, Config: domain.ConnectionConfig{Host: address.IP.String(), Port: address.Port, Database: "d", SSLMode: domain.SSLDisable}}
			_, err := newEngine().Probe(enginetest.Context(t), src)
			enginetest.RequireClass(t, failure.Unsupported, err)
			require.ErrorContains(t, err, "wire version")
			require.Contains(t, failure.HintOf(err), "update")
			_, _, err = enginetest.TryDump(t, newEngine(), src, engine.DumpOptions{})
			enginetest.RequireClass(t, failure.Unsupported, err)
		})
	}
}
