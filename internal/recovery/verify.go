package recovery

import (
	"context"
	"fmt"
	"io"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/databases"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/referenced"
)

// Checked is what Verify found good.
type Checked struct {
	ExecutionID string
	Objects     int64
	Bytes       int64
	Notes       []string // what could not be looked at here, and did not fail
}

// Verify checks a backup: that every object is there with its size, and with full that everything
// reads back: hash, decrypt, decompress, and the engine's own listing where its tool is installed.
// Full needs an identity for an encrypted backup. Errors: Corrupt, naming the object.
func (r *Recovery) Verify(ctx context.Context, b Backup, full bool) (Checked, error) {
	c := Checked{ExecutionID: b.Manifest.ExecutionID}
	if len(r.Identities) > 0 || full {
		if err := b.Manifest.Unseal(r.Identities); err != nil {
			return c, err
		}
	}
	var err error
	if !full {
		c.Objects, c.Bytes, err = archive.CheckObjects(ctx, r.Store, b.Manifest, nil)
		return c, err
	}
	reader, err := archive.NewReader(r.Store, b.Manifest, r.Identities, archive.ReaderOptions{})
	if err != nil {
		return c, err
	}
	chosen, known := r.Engines[b.Manifest.DatasourceType]
	if known {
		if chosen, err = databases.ForStreams(chosen, engineStreams(b.Manifest)); err != nil {
			return c, err
		}
		if err := engine.CheckStreams(chosen, engineStreams(b.Manifest)); err != nil {
			return c, err
		}
	}
	for _, s := range b.Manifest.Streams {
		note, err := r.readStream(ctx, chosen, reader, s)
		if err != nil {
			return c, err
		}
		c.Notes = append(c.Notes, note)
	}
	c.Objects, c.Bytes = int64(len(b.Manifest.Objects)), b.Manifest.StoredBytes()
	return c, nil
}

// readStream reads one stream, with its engine where this version has one.
func (r *Recovery) readStream(ctx context.Context, chosen engine.Engine, reader *archive.Reader, s archive.Stream) (note string, err error) {
	content, err := reader.OpenStream(ctx, s.Name)
	if err != nil {
		return "", err
	}
	defer func() { _ = content.Close() }()
	if s.Format == referenced.Format {
		files, err := referenced.Inspect(content)
		return fmt.Sprintf("stream %s reads back whole and holds %d files", s.Name, files), err
	}
	if chosen != nil {
		tables, err := chosen.Inspect(ctx, engineStream(s), content)
		if err == nil {
			return fmt.Sprintf("stream %s reads back whole and lists %d tables", s.Name, tables), nil
		}
		if class := failure.ClassOf(err); class != failure.ToolMissing && class != failure.Unsupported {
			return "", err
		}
		note = ": " + err.Error()
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return "", err
	}
	return fmt.Sprintf("stream %s reads back whole; its content was not listed%s", s.Name, note), nil
}

func engineStream(s archive.Stream) engine.Stream {
	return engine.Stream{Name: s.Name, Format: s.Format, Properties: s.Properties, Bytes: s.Bytes}
}

// engineStreams are the streams that the engine wrote.
func engineStreams(m *archive.Manifest) []engine.Stream {
	streams := make([]engine.Stream, 0, len(m.Streams))
	for _, s := range m.Streams {
		if s.Format != referenced.Format {
			streams = append(streams, engineStream(s))
		}
	}
	return streams
}
