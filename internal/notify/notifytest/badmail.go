package notifytest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How a bad mail server answers.
var (
	// Silent says nothing until the client goes away.
	Silent = func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	// Trickling sends a byte now and then, never a line end.
	Trickling = func(conn net.Conn) { trickle(conn, "2", 20*time.Millisecond) }
	// EndlessLine sends a line without an end, as fast as it can.
	EndlessLine = func(conn net.Conn) { repeat(conn, bytes.Repeat([]byte("2"), 64<<10)) }
	// EndlessLines sends an answer of lines without a last one.
	EndlessLines = func(conn net.Conn) { repeat(conn, bytes.Repeat([]byte("250-and so on\r\n"), 4<<10)) }
	// HangsUp closes the connection.
	HangsUp = func(net.Conn) {}
)

// trickle sends a piece now and then until the client goes away.
func trickle(conn net.Conn, piece string, every time.Duration) {
	for {
		if _, err := conn.Write([]byte(piece)); err != nil {
			return
		}
		time.Sleep(every)
	}
}

func repeat(conn net.Conn, block []byte) {
	for {
		if _, err := conn.Write(block); err != nil {
			return
		}
	}
}

// MailStages are the moments at which BadMail can go bad.
var MailStages = []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."}

// AtHandshake is one more, of clients that use STARTTLS: after its answer to that.
const AtHandshake = "STARTTLS"

// BadMail is a mail server without encryption that answers well until stage, and then as bad says.
func BadMail(t testing.TB, stage string, bad func(net.Conn)) *net.TCPAddr {
	t.Helper()
	require.Contains(t, append([]string{AtHandshake}, MailStages...), stage)
	return serveTCP(t, func(conn net.Conn) { badMail(conn, stage, bad) })
}

// serveTCP gives each connection to handle, and closes it behind it.
func serveTCP(t testing.TB, handle func(net.Conn)) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				handle(conn)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr)
}

func badMail(conn net.Conn, stage string, bad func(net.Conn)) {
	answer := func(command, text string) bool {
		if command == stage {
			bad(conn)
			return false
		}
		_, err := conn.Write([]byte(text + "\r\n"))
		return err == nil
	}
	if !answer("CONNECT", "220 mail.example") {
		return
	}
	lines, inData := bufio.NewScanner(conn), false
	for lines.Scan() {
		line := lines.Text()
		command, _, _ := strings.Cut(line, " ")
		switch {
		case inData && line != ".":
			continue
		case inData:
			inData = false
			command = "."
		}
		text := "250 OK"
		switch command {
		case "DATA":
			text, inData = "354 go on", true
		case "EHLO":
			text = "250-mail.example\r\n250 STARTTLS"
		case AtHandshake:
			_, _ = conn.Write([]byte("220 go on\r\n"))
		}
		if !answer(command, text) {
			return
		}
	}
}
