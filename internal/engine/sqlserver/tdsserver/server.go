// Package tdsserver is a small SQL Server for tests: it speaks TDS 7.4 to the real driver and knows the
// statements that the engine sends, and no other. Databases are rows in memory; a backup is a file that
// begins like a real one and holds them. What it does at names, single-user mode, differentials and errors
// follows Microsoft's documentation; it can not prove that a real server agrees.
package tdsserver

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Options are how a server differs from the usual.
type Options struct {
	Version     string           // "16.0.4135.4" is the default
	Edition     int64            // of the engine; 3 is the default, 5 is Azure SQL
	Certificate *tls.Certificate // offers TLS with it
	Directory   string           // files of databases, by name only; "/var/opt/mssql/data/" is the default
	MayCreate   func() bool      // nil is everybody
	Progress    func() string    // of a statement, which others may ask for; nil is none

	Writes       bool // the login may write
	Reader       bool // databases have the user dataguardian_reader, which the login may impersonate
	ReaderWrites bool // that user may write
	Express      bool // an edition without compression of backups
}

// The login that the server knows.
const (
	Login    = "backup"
	Password = "geheim & 'quoted'" //nolint:gosec // of a server for tests
)

// Server is a running server.
type Server struct {
	options  Options
	listener net.Listener
	done     sync.WaitGroup

	mu         sync.Mutex
	databases  map[string]*Database
	sessions   map[int]*session
	last       int
	faults     []*Fault
	statements []string
	ranAs      map[string]string // the user of each statement when it was last sent
	answers    map[string]Answer
}

// Start runs a server until the test ends.
func Start(t *testing.T, options Options) *Server {
	t.Helper()
	if options.Version == "" {
		options.Version = "16.0.4135.4"
	}
	if options.Edition == 0 {
		options.Edition = 3
	}
	if options.Directory == "" {
		options.Directory = "/var/opt/mssql/data/"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &Server{options: options, listener: listener, databases: map[string]*Database{}, sessions: map[int]*session{}, ranAs: map[string]string{}, last: 50, answers: map[string]Answer{}}
	for _, name := range []string{"master", "tempdb", "model", "msdb"} {
		s.databases[name] = &Database{name: name, state: "ONLINE", access: "MULTI_USER", Tables: map[string][]string{}}
	}
	s.done.Add(1)
	go s.accept()
	t.Cleanup(s.stop)
	return s
}

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *Server) accept() {
	defer s.done.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.done.Add(1)
		go func() {
			defer s.done.Done()
			s.serve(conn)
		}()
	}
}

func (s *Server) stop() {
	_ = s.listener.Close()
	s.mu.Lock()
	for _, one := range s.sessions {
		one.end()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// SQLError is an error as the server sends it.
type SQLError struct {
	Number  int32
	Message string
}

// Fault is a failure at the statements that contain Match.
type Fault struct {
	Match  string
	Times  int              // how often; 0 is always
	After  bool             // the statement is done first
	Errors []SQLError       // what is answered
	Drop   bool             // the connection is cut
	Block  <-chan struct{}  // the statement waits for it, or for a cancellation
	Do     func()           // is called
	Reach  func(sql string) // is called with the statement when it is there
}

// Inject makes the server fail.
func (s *Server) Inject(faults ...*Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Heal ends all injected failures.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) faultFor(statement string, after bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, fault := range s.faults {
		if fault.After == after && strings.Contains(statement, fault.Match) {
			if fault.Times == 1 {
				s.faults = slices.Delete(s.faults, i, i+1)
			} else if fault.Times > 1 {
				fault.Times--
			}
			return fault
		}
	}
	return nil
}

// Statements are all that were sent.
func (s *Server) Statements() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statements)
}

// RanAs is the login or the user that a statement ran as, "" if it was not sent.
func (s *Server) RanAs(statement string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ranAs[statement]
}

// Sent counts the statements that contain text.
func (s *Server) Sent(text string) (count int) {
	for _, statement := range s.Statements() {
		if strings.Contains(statement, text) {
			count++
		}
	}
	return count
}

// Answer is a canned answer.
type Answer struct {
	Columns []Column
	Rows    [][]any
	Info    []string
}

// Answers makes the server answer a statement.
func (s *Server) Answers(statement string, answer Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[statement] = answer
}
