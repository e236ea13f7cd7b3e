package tdsserver

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"strings"
)

// login answers PRELOGIN and LOGIN7.
func (s *session) login() bool {
	m, err := readMessage(s.conn)
	if err != nil || m.kind != packetPrelogin {
		return false
	}
	const notSupported, on = 2, 1
	wanted := preloginEncryption(m.data)
	encryption := byte(notSupported)
	certificate := s.server.options.Certificate
	if certificate != nil && wanted != notSupported {
		encryption = on
	}
	// VERSION at 11, ENCRYPTION at 17
	reply := []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0, 0, 0, 0, encryption}
	if writeMessage(s.conn, reply) != nil {
		return false
	}
	if encryption == on {
		wrapped := &handshake{Conn: s.conn}
		secure := tls.Server(wrapped, &tls.Config{Certificates: []tls.Certificate{*certificate}, MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS12}) //nolint:gosec // as old servers have it
		if secure.HandshakeContext(context.Background()) != nil {
			return false
		}
		wrapped.over = true
		s.conn = secure
	}
	if m, err = readMessage(s.conn); err != nil || m.kind != packetLogin {
		return false
	}
	user, password := loginField(m.data, 40), unmangle(loginBytes(m.data, 44))
	s.database = loginField(m.data, 68)
	s.readOnly = m.data[26]&0x20 != 0
	var out tokens
	refused := s.server.letIn(s, user, password)
	if len(refused) > 0 {
		out.errors(refused...)
		_ = writeMessage(s.conn, out.Bytes())
		return false
	}
	s.server.remember(s)
	var change, ack tokens
	change.WriteByte(1)
	change.short(s.database)
	change.short("master")
	out.envChange(change.Bytes())
	ack.WriteByte(1)
	ack.Write([]byte{0x74, 0, 0, 4})
	ack.short("tdsserver")
	ack.Write([]byte{16, 0, 0, 0})
	out.WriteByte(0xAD)
	out.number(uint16(ack.Len())) //nolint:gosec // short
	out.Write(ack.Bytes())
	out.done(0, 0)
	return writeMessage(s.conn, out.Bytes()) == nil
}

// letIn says why a login is refused, in the way of SQL Server.
func (s *Server) letIn(one *session, user, password string) []SQLError {
	failed := SQLError{18456, fmt.Sprintf("Login failed for user '%s'.", user)}
	if !strings.EqualFold(user, Login) || password != Password {
		return []SQLError{failed}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	database := s.find(one.database)
	if database == nil || database.state != "ONLINE" || (database.access == "SINGLE_USER" && database.owner != 0) {
		return []SQLError{{4060, fmt.Sprintf("Cannot open database \"%s\" requested by the login. The login failed.", one.database)}, failed}
	}
	one.database = database.name
	return nil
}

func preloginEncryption(data []byte) byte {
	for at := 0; data[at] != 0xFF; at += 5 {
		if data[at] == 1 {
			return data[binary.BigEndian.Uint16(data[at+1:])]
		}
	}
	return 0
}

func loginBytes(data []byte, at int) []byte {
	offset, length := int(binary.LittleEndian.Uint16(data[at:])), int(binary.LittleEndian.Uint16(data[at+2:]))
	return data[offset : offset+2*length]
}

func loginField(data []byte, at int) string { return text16(loginBytes(data, at)) }

func unmangle(data []byte) string {
	plain := make([]byte, len(data))
	for i, b := range data {
		b ^= 0xA5
		plain[i] = b<<4 | b>>4
	}
	return text16(plain)
}
