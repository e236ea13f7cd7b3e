package archive

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// check refuses what no Writer writes, so that everything behind it can rely on a manifest: every
// index is in range, every size is positive and bounded, every path is a chunk's.
func (m *Manifest) check() error {
	if err := m.Params.check(); err != nil {
		return err
	}
	for _, at := range []time.Time{m.StartedAt, m.FinishedAt} {
		if at.Year() < 0 || at.Year() > 9999 {
			return fmt.Errorf("%v is not a time of RFC 3339", at)
		}
	}
	if !generationName.MatchString(m.Generation) {
		return fmt.Errorf("generation %.80q is not a name", m.Generation)
	}
	if _, known := compressions[m.Compression]; !known {
		return fmt.Errorf("compression %.40q is not known", m.Compression)
	}
	if (len(m.secret.Age) > 0) == (m.secret.Hex != "") || (len(m.secret.Age) > 0) != m.Encrypted() {
		return errors.New("the chunk secret must be an age file if there are recipients, and plain if there are none")
	}
	seen := make(map[string]bool, len(m.directories))
	for _, directory := range m.directories {
		if !directoryShape.MatchString(directory) || seen[directory] {
			return fmt.Errorf("directory %.80q is there twice or not one of chunks", directory)
		}
		seen[directory] = true
	}
	if err := m.checkObjects(); err != nil {
		return err
	}
	return m.checkStreams()
}

func (m *Manifest) checkObjects() error {
	seen := make(map[ChunkID]struct{}, len(m.Objects))
	for i, o := range m.Objects {
		switch {
		case int(o.directory) >= len(m.directories):
			return fmt.Errorf("object %d: directory %d does not exist", i, o.directory)
		case o.PlainBytes < 1 || o.PlainBytes > int64(m.Params.Max):
			return fmt.Errorf("object %d: %d plain bytes are not between 1 and %d", i, o.PlainBytes, m.Params.Max)
		case o.StoredBytes < 1 || o.StoredBytes > int64(maxStored(int(o.PlainBytes))):
			return fmt.Errorf("object %d: %d stored bytes are impossible for %d plain ones", i, o.StoredBytes, o.PlainBytes)
		case o.encoding.encrypted != m.Encrypted():
			return fmt.Errorf("object %d: its name and the recipients disagree on encryption", i)
		}
		seen[o.ID] = struct{}{}
	}
	if len(seen) != len(m.Objects) {
		return errors.New("an object is there twice")
	}
	return nil
}

func (m *Manifest) checkStreams() error {
	names := make(map[string]bool, len(m.Streams))
	for _, s := range m.Streams {
		if err := s.StreamMeta.check(); err != nil {
			return err
		}
		if names[s.Name] {
			return fmt.Errorf("stream %.80q is there twice", s.Name)
		}
		names[s.Name] = true
		switch {
		case len(s.sealed) > 0 && !m.Encrypted():
			return fmt.Errorf("stream %.80q: its properties are encrypted and the backup is not", s.Name)
		case len(s.sealed) > maxStored(maxProperties):
			return fmt.Errorf("stream %.80q: its properties take more than %d bytes", s.Name, maxStored(maxProperties))
		}
		var total int64
		for _, chunk := range s.Chunks {
			if int(chunk) >= len(m.Objects) {
				return fmt.Errorf("stream %.80q: object %d does not exist", s.Name, chunk)
			}
			total += m.Objects[chunk].PlainBytes
		}
		if total != s.Bytes {
			return fmt.Errorf("stream %.80q: its chunks hold %d bytes, not %d", s.Name, total, s.Bytes)
		}
	}
	return nil
}

// check refuses names that could not be shown or looked up.
func (s StreamMeta) check() error {
	switch {
	case s.Name == "" || len(s.Name) > 1024 || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' }):
		return fmt.Errorf("stream name %.80q is empty, too long or not printable", s.Name)
	case s.Format == "" || len(s.Format) > 100:
		return fmt.Errorf("stream %.80q: format %.80q is empty or too long", s.Name, s.Format)
	}
	return nil
}
