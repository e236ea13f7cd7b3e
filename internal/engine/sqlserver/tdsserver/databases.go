package tdsserver

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// Database is a database: the rows of its tables, as text.
type Database struct {
	Tables map[string][]string
	Users  []string // with no login
	Keys   []Key
	// Damaged is that pages hold what they should not, under good checksums: RESTORE does not see it.
	Damaged bool

	name   string
	state  string
	access string
	owner  int      // the session that has it for itself
	files  []string // physical names

	base     string // the set that differentials build on
	loaded   string // of a RESTORING database: the set it was restored from
	snapshot map[string][]string
}

// find follows SQL Server's usual collation, to which case does not matter.
func (s *Server) find(name string) *Database {
	for _, database := range s.databases {
		if strings.EqualFold(database.name, name) {
			return database
		}
	}
	return nil
}

// Create makes a database.
func (s *Server) Create(name string, tables map[string][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.databases[name] = &Database{
		name: name, state: "ONLINE", access: "MULTI_USER", Tables: tables,
		files: []string{s.options.Directory + name + ".mdf", s.options.Directory + name + "_log.ldf"},
	}
}

// Change lets change work on a database.
func (s *Server) Change(name string, change func(*Database)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.find(name))
}

// SetAccess changes the access of a database, or its state.
func (s *Server) SetAccess(name, state, access string) {
	s.Change(name, func(d *Database) { d.state, d.access = state, access })
}

// Access is the state and the access of a database, "" if it is not there.
func (s *Server) Access(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if database := s.find(name); database != nil {
		return database.state + " " + database.access
	}
	return ""
}

// Drop drops a database.
func (s *Server) Drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if database := s.find(name); database != nil {
		delete(s.databases, database.name)
	}
}

// Names are those of the databases.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.databases))
}

// Content are the rows of a database, nil if it is not there.
func (s *Server) Content(name string) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if database := s.find(name); database != nil {
		return copyOf(database.Tables)
	}
	return nil
}

func copyOf(tables map[string][]string) map[string][]string {
	out := make(map[string][]string, len(tables))
	for name, rows := range tables {
		out[name] = slices.Clone(rows)
	}
	return out
}

// set is what a backup file holds.
type set struct {
	Kind     int64 // 1 full, 5 differential
	ID, Base string
	CopyOnly bool
	Database string
	Access   string
	Files    int
	Major    string
	Tables   map[string][]string // of a differential: the changed ones
	Names    []string            // of all tables
	Users    []string
	Keys     []Key
	Damaged  bool
}

func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

func guid(id string) any {
	if id == "" {
		return nil
	}
	data, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	return data
}

const block = 4096

// makeSet backs a database up; the caller holds the lock.
func (s *Server) makeSet(database *Database, differential, copyOnly bool) (set, []SQLError) {
	made := set{
		Kind: 1, ID: newID(), CopyOnly: copyOnly, Database: database.name, Access: database.access, Files: 2, Major: s.options.Version,
		Tables: copyOf(database.Tables), Names: slices.Sorted(maps.Keys(database.Tables)), Users: database.Users, Keys: database.Keys, Damaged: database.Damaged,
	}
	if !differential {
		return made, nil
	}
	if database.base == "" {
		return made, []SQLError{{3035, fmt.Sprintf("Cannot perform a differential backup for database \"%s\", because a current database backup does not exist.", database.name)}, terminated("BACKUP DATABASE")}
	}
	made.Kind, made.Base = 5, database.base
	for name, rows := range made.Tables {
		if slices.Equal(rows, database.snapshot[name]) {
			delete(made.Tables, name)
		}
	}
	return made, nil
}

// taken makes a full the base of differentials.
func (d *Database) taken(made set) {
	if made.Kind == 1 && !made.CopyOnly {
		d.base, d.snapshot = made.ID, copyOf(d.Tables)
	}
}

// write puts a set into a file: "TAPE", its length and checksum, and its content up to a block's end; a compressed
// content begins as gzip does.
func (made set) write(path string, compressed bool) error {
	body, err := json.Marshal(made)
	if err != nil {
		return err
	}
	if compressed {
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // a quarter of the tests' time otherwise
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
		body = packed.Bytes()
	}
	head := fmt.Sprintf("TAPE%012d%08x", len(body), crc32.ChecksumIEEE(body))
	data := append([]byte(head), body...)
	data = append(data, make([]byte, block-len(data)%block)...)
	return os.WriteFile(path, data, 0o600)
}

var errDamaged = errors.New("damaged")

func readSet(path string) (set, int64, error) {
	var found set
	data, err := os.ReadFile(path) //nolint:gosec // a test's directory
	if err != nil {
		return found, 0, err
	}
	var length int
	var sum uint32
	if _, err := fmt.Sscanf(string(data[:min(len(data), 24)]), "TAPE%012d%08x", &length, &sum); err != nil || len(data) < 24+length {
		return found, 0, errDamaged
	}
	body := data[24 : 24+length]
	if crc32.ChecksumIEEE(body) != sum || !bytes.HasPrefix(data, []byte("TAPE")) {
		return found, 0, errDamaged
	}
	if r, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		if body, err = io.ReadAll(r); err != nil {
			return found, 0, errDamaged
		}
	}
	return found, int64(len(data)) - block/2, json.Unmarshal(body, &found)
}
